#!/usr/bin/env python3
"""DALI doing what `bit-bench records` does: every record of a split in one thread, the image's bytes as they are stored.

Its fastest settings: a mapped file with its index, one thread ahead, outputs taken without a copy. DALI parses the
tensorflow.Example, which bit-bench does not, and verifies no checksum, which bit-bench does.
"""
import argparse
import os
import pathlib

from measure import images_per_second, report
from nvidia.dali import fn, pipeline_def, tfrecord


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    shards = sorted(str(p) for p in options.data.glob(f"*-{options.split}.tfrecord-*") if p.suffix != ".idx")
    if not shards:
        parser.error(f"{options.data} has no shards of the split {options.split}")

    @pipeline_def(batch_size=options.batch, num_threads=1, device_id=None, prefetch_queue_depth=2)
    def pipeline():
        features = {"image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, "")}
        read = fn.readers.tfrecord(path=shards, index_path=[s + ".idx" for s in shards], features=features,
                                   dont_use_mmap=False, prefetch_queue_depth=2, name="reader")
        return read["image/encoded"]

    running = pipeline()
    running.build()
    records = running.epoch_size("reader")
    running.schedule_run()

    def step():
        running.schedule_run()
        running.share_outputs()
        running.release_outputs()

    rate = images_per_second(step, options.batch, options.seconds, window=1.0)
    size = sum(os.path.getsize(shard) for shard in shards)
    report(peer="DALI", threads=1, checksums=False, records_per_second=rate, bytes_per_second=rate * size / records)


if __name__ == "__main__":
    main()
