#!/usr/bin/env python3
"""tf.data and DALI read what bit-shard writes: the same number of records, the same labels, the same pixels.

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
from nvidia.dali import fn, pipeline_def, tfrecord, types
from PIL import Image

CLASSES = ["ant", "bee", "cat"]
IMAGES = 17  # of each class
SHARDS = 3
BATCH = 8


def make_folders(root, random):
    """Smooth colour images of many sizes and JPEG forms. {file name: (label, [H, W, 3] uint8 as TensorFlow decodes it)}."""
    images = {}
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(IMAGES):
            width, height = (int(side) for side in random.integers(20, 90, 2))
            small = random.integers(0, 255, (4, 4, 3), np.uint8)
            picture = Image.fromarray(small).resize((width, height), Image.BICUBIC)
            path = root / name / f"{name}-{number:02}.jpg"
            picture.save(path, quality=int(random.integers(60, 98)), subsampling=int(random.integers(0, 3)),
                         progressive=bool(number % 5 == 4))
            images[f"{name}/{path.name}"] = (label, decode(path.read_bytes()))
    return images


def decode(jpeg):
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def read_with_tensorflow(shards):
    """[(label from 0, class name, file name, pixels)] in the order of the shards."""
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64),
                "image/class/text": tf.io.FixedLenFeature([], tf.string),
                "image/filename": tf.io.FixedLenFeature([], tf.string)}
    records = []
    for raw in tf.data.TFRecordDataset([str(s) for s in shards]):
        example = tf.io.parse_single_example(raw, features)
        records.append((int(example["image/class/label"]) - 1, example["image/class/text"].numpy().decode(),
                        example["image/filename"].numpy().decode(), decode(example["image/encoded"])))
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


def check(shards, images):
    assert len(shards) == SHARDS, shards
    tensorflow = read_with_tensorflow(shards)
    assert sorted(name for _, _, name, _ in tensorflow) == sorted(images), "the records are not the files"
    assert [name for _, _, name, _ in tensorflow] != sorted(images), "the records are not shuffled"
    for label, text, name, pixels in tensorflow:
        assert label == images[name][0] and text == CLASSES[label], (name, label, text)
        assert np.array_equal(pixels, images[name][1]), f"{name}: other pixels than the file"

    dali = read_with_dali(shards)
    assert len(dali) == len(tensorflow), (len(dali), len(tensorflow))
    worst = 0
    for (label, pixels), (expected, _, name, reference) in zip(dali, tensorflow):
        assert label == expected and pixels.shape == reference.shape, name
        worst = max(worst, int(np.abs(pixels.astype(int) - reference).max()))
    # DALI brings its own libjpeg-turbo, whose vector code may round differently.
    assert worst <= 2, f"DALI's pixels differ by up to {worst}"
    return len(tensorflow)


def main():
    bit_shard = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        images = make_folders(root / "images", np.random.default_rng(7))
        for mode in ("keep", "lossless"):
            subprocess.run([bit_shard, "convert", "--input", root / "images", "--output", root / mode, "--name", "insects",
                            "--split", "train", "--shards", str(SHARDS), "--jpeg", mode], check=True)
            shards = sorted(p for p in (root / mode).iterdir() if "tfrecord" in p.name and p.suffix != ".idx")
            print(f"--jpeg {mode}: {check(shards, images)} records, the same for tf.data and DALI")


if __name__ == "__main__":
    main()
