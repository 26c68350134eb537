"""Reads the records of a directory that bit-shard wrote with tf.data, tf.train.Example and Pillow, for the oracles."""
import io
import subprocess
import typing

import numpy as np
import tensorflow as tf
from PIL import Image


class Record(typing.NamedTuple):
    labels: list  # from 1, as they are stored
    text: str
    jpeg: bytes
    size: tuple  # width, height: as stated beside the image


def convert(bit_shard, source, output, *options):
    """The directory `output` with the split `train` of the dataset `insects`."""
    subprocess.run([bit_shard, "convert", "--input", str(source), "--output", str(output), "--name", "insects",
                    "--split", "train", "--shards", "3", *options], check=True)
    return output


def read_records(directory):
    """{file name: Record}."""
    records = {}
    shards = [str(path) for path in sorted(directory.glob("insects-train.tfrecord-?????-of-?????"))]
    assert shards, f"{directory}: no shards"
    for raw in tf.data.TFRecordDataset(shards):
        feature = tf.train.Example.FromString(raw.numpy()).features.feature

        def text(key):
            (value,) = feature[key].bytes_list.value
            return value

        def ints(key):
            return list(feature[key].int64_list.value)

        name = text("image/filename").decode()
        assert name not in records, f"{directory}: {name} is there twice"
        records[name] = Record(ints("image/class/label"), text("image/class/text").decode(), text("image/encoded"),
                               (ints("image/width")[0], ints("image/height")[0]))
    return records


def decode_with_pillow(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def through_jpeg(rgb):
    """The pixels of the JPEG that Pillow makes of them as bit-shard makes one: quality 95, 4:4:4."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=95, subsampling="4:4:4")
    return decode_with_pillow(file.getvalue())
