// The benchmarks of bit-bench. Each takes the arguments after its name, prints lines for people
// and, as the last line, one JSON object, and returns an exit code.
#pragma once

namespace bit::launcher {

// Reading every record of a split, on 1, 2, 4 ... threads, with and without its checksum.
int bench_records(int argc, char** argv);

// From JPEG bytes in memory to the training square, without files, queues or batches.
int bench_decode(int argc, char** argv);

// Lossless normalising of JPEG files in memory, beside jpegtran's library calls.
int bench_convert(int argc, char** argv);

// The whole loader, as training uses it: endless epochs of decoded batches.
int bench_loader(int argc, char** argv);

// One training step of a model on synthetic images: forward, backward, update.
int bench_step(int argc, char** argv);

// Sums over all ranks of an mpirun, from 1 KiB to 100 MiB.
int bench_allreduce(int argc, char** argv);

// Writing, publishing and validating a checkpoint of a given size.
int bench_checkpoint(int argc, char** argv);

}  // namespace bit::launcher
