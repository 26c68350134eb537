// What a process does once before it computes on the CPU.
#pragma once

namespace bit::trainer {

// LibTorch computes with `threads` threads. Freed memory stays with the process: activations of a
// step are freed and taken again in the next, and giving 32 images' worth of pages back to the
// kernel each time costs a step of R26x1 about 10% (its peak of memory is the same within 2%).
void prepare_cpu(int threads);

}  // namespace bit::trainer
