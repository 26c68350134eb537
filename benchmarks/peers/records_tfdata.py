#!/usr/bin/env python3
"""tf.data doing what `bit-bench records` does: every record of a split, both checksums verified, one thread, nothing decoded.

Its fastest settings: TFRecordDataset in one private thread with large read buffers, in batches, so that little goes through
Python; counting inside the graph (Dataset.reduce) is slower.
"""
import argparse
import os
import pathlib

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from measure import images_per_second, report


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--buffer", type=int, default=1 << 20, help="bytes that are read at once")
    options = parser.parse_args()
    shards = sorted(str(p) for p in options.data.glob(f"*-{options.split}.tfrecord-*") if p.suffix != ".idx")
    if not shards:
        parser.error(f"{options.data} has no shards of the split {options.split}")

    settings = tf.data.Options()
    settings.threading.private_threadpool_size = 1
    settings.threading.max_intra_op_parallelism = 1
    settings.autotune.enabled = False
    settings.deterministic = True
    dataset = tf.data.TFRecordDataset(shards, buffer_size=options.buffer).batch(options.batch).with_options(settings)

    def count():
        return sum(int(batch.shape[0]) for batch in dataset)

    records = count()
    passes = images_per_second(count, 1, options.seconds, window=1.0)
    size = sum(os.path.getsize(shard) for shard in shards)
    report(peer="tf.data", threads=1, checksums=True, records_per_second=passes * records, bytes_per_second=passes * size)


if __name__ == "__main__":
    main()
