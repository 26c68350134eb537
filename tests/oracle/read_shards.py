#!/usr/bin/env python3
"""tf.data, TFDS and DALI read what bit-shard writes: the same number of records, the same labels, the same pixels.

    read_shards.py BIT_SHARD       makes class folders, converts them once with --jpeg keep and once with lossless rewriting
"""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from nvidia.dali import fn, pipeline_def, tfrecord, types

from make_inputs import CLASSES, make_pictures, write_folders
from shard_records import decode_with_pillow

IMAGES = 17  # of each class
SHARDS = 3
BATCH = 8
NAME = "insects"


def decode(jpeg):
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def read_with_tensorflow(shards):
    """[(label from 0, class name, file name, JPEG)] in the order of the shards."""
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64),
                "image/class/text": tf.io.FixedLenFeature([], tf.string),
                "image/filename": tf.io.FixedLenFeature([], tf.string)}
    records = []
    for raw in tf.data.TFRecordDataset([str(s) for s in shards]):
        example = tf.io.parse_single_example(raw, features)
        records.append((int(example["image/class/label"]) - 1, example["image/class/text"].numpy().decode(),
                        example["image/filename"].numpy().decode(), example["image/encoded"].numpy()))
    return records


def read_with_tfds(directory):
    """The same in the order of the shards, and the pixels as TFDS decodes them."""
    builder = tfds.builder_from_directory(directory)
    label = builder.info.features["image"]["class"]["label"]
    assert label.names == ["background", *CLASSES], label.names
    order = tfds.ReadConfig(interleave_cycle_length=1)
    skip = {"image": {"encoded": tfds.decode.SkipDecoding()}}
    encoded = tfds.as_numpy(builder.as_dataset(split="train", decoders=skip, read_config=order))
    decoded = tfds.as_numpy(builder.as_dataset(split="train", read_config=order))
    records = []
    for one, other in zip(encoded, decoded, strict=True):
        image, pixels = one["image"], other["image"]["encoded"]
        assert (image["height"], image["width"], image["channels"]) == pixels.shape, image["filename"]
        assert (image["format"], image["colorspace"]) == (b"JPEG", b"RGB")
        text = image["class"]["text"].decode()
        assert label.int2str(image["class"]["label"]) == text
        records.append((int(image["class"]["label"]) - 1, text, image["filename"].decode(), image["encoded"], pixels))
    assert len(records) == builder.info.splits["train"].num_examples
    return records


@pipeline_def(batch_size=BATCH, num_threads=2, device_id=None)
def dali_pipeline(shards):
    features = {"image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
                "image/class/label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1)}
    read = fn.readers.tfrecord(path=[str(s) for s in shards], index_path=[str(s) + ".idx" for s in shards],
                               features=features, name="reader", pad_last_batch=False)
    return fn.decoders.image(read["image/encoded"], device="cpu", output_type=types.RGB), read["image/class/label"]


def read_with_dali(shards):
    """[(label from 0, pixels)] in the order of the shards, one epoch."""
    pipeline = dali_pipeline(shards)
    pipeline.build()
    count = pipeline.epoch_size("reader")
    records = []
    while len(records) < count:
        images, labels = pipeline.run()
        records += [(int(labels.at(i)[0]) - 1, np.array(images.at(i))) for i in range(len(images))]
    return records[:count]


def check(directory, pictures):
    shards = sorted(p for p in directory.iterdir() if "tfrecord" in p.name and p.suffix != ".idx")
    assert len(shards) == SHARDS, shards
    tensorflow = read_with_tensorflow(shards)
    assert sorted(name for _, _, name, _ in tensorflow) == sorted(pictures), "the records are not the files"
    assert [name for _, _, name, _ in tensorflow] != sorted(pictures), "the records are not shuffled"
    for label, text, name, jpeg in tensorflow:
        source_label, source = pictures[name]
        assert label == source_label and text == CLASSES[label], (name, label, text)
        assert np.array_equal(decode(jpeg), decode(source)), f"{name}: other pixels than the file for TensorFlow"
        assert np.array_equal(decode_with_pillow(jpeg), decode_with_pillow(source)), f"{name}: ... and for Pillow"

    for record, (label, text, name, jpeg, pixels) in zip(tensorflow, read_with_tfds(directory), strict=True):
        assert record == (label, text, name, jpeg), f"TFDS reads {name} where tf.data reads {record[2]}"
        as_tfds = tf.io.decode_image(pictures[name][1], channels=3).numpy()
        assert np.array_equal(pixels, as_tfds), f"{name}: other pixels than the file for TFDS"

    dali = read_with_dali(shards)
    assert len(dali) == len(tensorflow), (len(dali), len(tensorflow))
    worst = 0
    for (label, pixels), (expected, _, name, jpeg) in zip(dali, tensorflow):
        reference = decode(jpeg)
        assert label == expected and pixels.shape == reference.shape, name
        worst = max(worst, int(np.abs(pixels.astype(int) - reference).max()))
    # DALI brings its own libjpeg-turbo, whose vector code may round differently.
    assert worst <= 2, f"DALI's pixels differ by up to {worst}"
    return len(tensorflow)


def main():
    bit_shard = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        pictures = make_pictures(IMAGES, np.random.default_rng(7))
        write_folders(root / "images", pictures)
        for mode in ("keep", "lossless"):
            subprocess.run([bit_shard, "convert", "--input", root / "images", "--output", root / mode, "--name", NAME,
                            "--split", "train", "--shards", str(SHARDS), "--jpeg", mode], check=True)
            print(f"--jpeg {mode}: {check(root / mode, pictures)} records, the same for tf.data, TFDS and DALI")


if __name__ == "__main__":
    main()
