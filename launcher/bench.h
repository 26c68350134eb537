// The benchmarks of bit-bench. Each takes the arguments after its name, prints lines for people
// and, as the last line, one JSON object, and returns an exit code.
#pragma once

namespace bit::launcher {

// One training step of a model on synthetic images: forward, backward, update.
int bench_step(int argc, char** argv);

// From JPEG bytes in memory to the training square, without files, queues or batches.
int bench_decode(int argc, char** argv);

}  // namespace bit::launcher
