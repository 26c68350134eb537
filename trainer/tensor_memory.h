// The memory of tensors on the CPU. A training step asks for the same sizes again and again: large
// blocks are kept when they are freed and given out again, and lie on huge pages, so that after the
// first steps nothing is asked of the kernel and the processor's address cache goes far.
#pragma once

namespace bit::trainer {

// Makes LibTorch allocate this way from now on, for the rest of the process. Blocks that were
// allocated before are freed as they were. Any thread; later calls change nothing.
void keep_tensor_memory();

}  // namespace bit::trainer
