#include "tests/unit/pipeline/heap_watch.h"

#include <atomic>
#include <cerrno>
#include <limits>

namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> limit{kUnlimited};

bool admitted(std::size_t bytes) noexcept {
  ++allocations;
  if (bytes <= limit) return true;
  errno = ENOMEM;
  return false;
}

}  // namespace

// Replacing malloc: glibc manual, §3.2.5. Its own functions stay under these names.
extern "C" {

void* __libc_malloc(std::size_t bytes) noexcept;
void* __libc_calloc(std::size_t count, std::size_t bytes) noexcept;
void* __libc_realloc(void* memory, std::size_t bytes) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t bytes) noexcept;
void __libc_free(void* memory) noexcept;

void* malloc(std::size_t bytes) noexcept {
  return admitted(bytes) ? __libc_malloc(bytes) : nullptr;
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
  const std::size_t all = count != 0 && bytes > kUnlimited / count ? kUnlimited : count * bytes;
  return admitted(all) ? __libc_calloc(count, bytes) : nullptr;
}

void* realloc(void* memory, std::size_t bytes) noexcept {
  return admitted(bytes) ? __libc_realloc(memory, bytes) : nullptr;
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return admitted(bytes) ? __libc_memalign(alignment, bytes) : nullptr;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return memalign(alignment, bytes);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  void* const taken = memalign(alignment, bytes);
  if (taken == nullptr) return ENOMEM;
  *memory = taken;
  return 0;
}

void free(void* memory) noexcept { __libc_free(memory); }

}  // extern "C"

namespace bit::test {

std::size_t heap_allocations() { return allocations; }
HeapLimit::HeapLimit(std::size_t bytes) { limit = bytes; }
HeapLimit::~HeapLimit() { limit = kUnlimited; }

}  // namespace bit::test
