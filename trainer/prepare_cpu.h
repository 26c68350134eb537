// What a process does once before it computes on the CPU.
#pragma once

namespace bit::trainer {

// LibTorch computes with `threads` threads, and its large tensors are kept for reuse
// (tensor_memory.h).
void prepare_cpu(int threads);

}  // namespace bit::trainer
