#include "trainer/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace bit::trainer {
namespace {

constexpr std::size_t kSmallest = std::size_t{1} << 20;  // smaller blocks are malloc's
constexpr std::size_t kGranule = std::size_t{64} << 10;  // sizes are rounded up to
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kRegion = std::size_t{64} << 20;  // asked of the kernel at once
constexpr std::uint8_t kPriority = 200;                 // above those of LibTorch

std::size_t rounded(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

// Free blocks by address and by size; neighbours are joined. Guarded by the caller.
class FreeBlocks {
 public:
  void add(std::uintptr_t begin, std::size_t size) {
    const auto next = by_address_.lower_bound(begin);
    if (next != by_address_.end() && begin + size == next->first) {
      size += next->second;
      remove(next);
    }
    const auto after = by_address_.lower_bound(begin);
    if (after != by_address_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == begin) {
        begin = before->first;
        size += before->second;
        remove(before);
      }
    }
    by_address_.emplace(begin, size);
    by_size_.emplace(size, begin);
  }

  // The smallest block that fits, cut to `size`; 0 when there is none.
  std::uintptr_t take(std::size_t size) {
    const auto found = by_size_.lower_bound(size);
    if (found == by_size_.end()) return 0;
    const auto [whole, begin] = *found;
    remove(by_address_.find(begin));
    if (whole > size) add(begin + size, whole - size);
    return begin;
  }

 private:
  using ByAddress = std::map<std::uintptr_t, std::size_t>;

  void remove(ByAddress::iterator block) {
    auto [same, end] = by_size_.equal_range(block->second);
    while (same->second != block->first) ++same;
    by_size_.erase(same);
    by_address_.erase(block);
  }

  ByAddress by_address_;
  std::multimap<std::size_t, std::uintptr_t> by_size_;
};

class TensorMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < kSmallest) {
      void* small = bytes == 0 ? nullptr : c10::alloc_cpu(bytes);
      return {small, small, &c10::free_cpu, c10::Device(c10::DeviceType::CPU)};
    }
    void* large = take(rounded(bytes, kGranule));
    return {large, large, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_any; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  // For the whole life of the process: tensors may be freed by destructors of static objects.
  static TensorMemory& instance() {
    static auto* memory = new TensorMemory();
    return *memory;
  }

 private:
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    std::uintptr_t begin = free_.take(size);
    if (begin == 0) {
      grow(size);
      begin = free_.take(size);
    }
    in_use_.emplace(begin, size);
    return reinterpret_cast<void*>(begin);  // NOLINT(performance-no-int-to-ptr)
  }

  void grow(std::size_t size) {
    const std::size_t region = rounded(size, kRegion);
    void* mapped = ::mmap(nullptr, region + kHugePage, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    const auto begin = rounded(reinterpret_cast<std::uintptr_t>(mapped), kHugePage);
    ::madvise(reinterpret_cast<void*>(begin), region, MADV_HUGEPAGE);  // NOLINT
    free_.add(begin, region);
  }

  static void give_back(void* block) {
    TensorMemory& memory = instance();
    const std::lock_guard lock(memory.mutex_);
    const auto found = memory.in_use_.find(reinterpret_cast<std::uintptr_t>(block));
    memory.free_.add(found->first, found->second);
    memory.in_use_.erase(found);
  }

  static void free_any(void* block) {
    TensorMemory& memory = instance();
    {
      const std::lock_guard lock(memory.mutex_);
      if (!memory.in_use_.contains(reinterpret_cast<std::uintptr_t>(block))) {
        c10::free_cpu(block);
        return;
      }
    }
    give_back(block);
  }

  std::mutex mutex_;
  FreeBlocks free_;
  std::unordered_map<std::uintptr_t, std::size_t> in_use_;
};

}  // namespace

void keep_tensor_memory() { c10::SetCPUAllocator(&TensorMemory::instance(), kPriority); }

}  // namespace bit::trainer
