#include "trainer/prepare_cpu.h"

#include <ATen/Parallel.h>
#include <malloc.h>

#include <limits>

namespace bit::trainer {

void prepare_cpu(int threads) {
  at::set_num_threads(threads);
  // From this size on malloc asks the kernel for pages of its own; 32 MiB is the most it takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

}  // namespace bit::trainer
