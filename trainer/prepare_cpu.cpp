#include "trainer/prepare_cpu.h"

#include <ATen/Parallel.h>

#include "trainer/tensor_memory.h"

namespace bit::trainer {

void prepare_cpu(int threads) {
  at::set_num_threads(threads);
  keep_tensor_memory();
}

}  // namespace bit::trainer
