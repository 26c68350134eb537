#!/usr/bin/env python3
"""What other people's programs write and bit-shard has to read: WebDataset tars, a TFDS directory, gzip TFRecords.

    make_inputs.py [DIRECTORY]     writes each kind to a folder of its own, reads it back with the program it is from,
                                   and writes DIRECTORY/expected.json: {kind: {key: {"labels": [from 0], "sha256": ...}}};
                                   without DIRECTORY in one that goes again
"""
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import webdataset
from PIL import Image

CLASSES = ["ant", "bee", "cat"]
SHARDS = 3


def make_pictures(images, random):
    """Smooth colour images of many sizes and JPEG forms. {file name: (label, bytes)}, `images` of each class."""
    pictures = {}
    for label, name in enumerate(CLASSES):
        for number in range(images):
            width, height = (int(side) for side in random.integers(20, 90, 2))
            small = random.integers(0, 255, (4, 4, 3), np.uint8)
            file = io.BytesIO()
            Image.fromarray(small).resize((width, height), Image.BICUBIC).save(
                file, "JPEG", quality=int(random.integers(60, 98)), subsampling=int(random.integers(0, 3)),
                progressive=bool(number % 5 == 4))
            pictures[f"{name}/{name}-{number:02}.jpg"] = (label, file.getvalue())
    return pictures


def as_png(pictures):
    """The same pixels in files without loss."""
    made = {}
    for name, (label, jpeg) in pictures.items():
        file = io.BytesIO()
        Image.open(io.BytesIO(jpeg)).save(file, "PNG")
        made[name.replace(".jpg", ".png")] = (label, file.getvalue())
    return made


def write_folders(root, pictures):
    for name, (_, jpeg) in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg)


def in_shards(pictures):
    """[(shard, name, label, jpeg)], dealt out in turn."""
    return [(i % SHARDS, name, label, jpeg) for i, (name, (label, jpeg)) in enumerate(pictures.items())]


def labels_of(label, several):
    """Of a picture; with `several`, every other class has the next one's label too."""
    return [label, label + 1] if several and label + 1 < len(CLASSES) else [label]


def expected(pictures, key_of=lambda name: name, several=False):
    return {key_of(name): {"labels": labels_of(label, several), "sha256": hashlib.sha256(jpeg).hexdigest()}
            for name, (label, jpeg) in pictures.items()}


# WebDataset -----------------------------------------------------------------------------------------------------------


def without_extension(name):
    return name.rsplit(".", 1)[0]


def write_webdataset(directory, pictures, several=False):
    """insects-000000.tar ...: KEY.jpg and KEY.cls, the label as text; with `several` KEY.json {"label": [...]}."""
    directory.mkdir(parents=True)
    for shard in range(SHARDS):
        with webdataset.TarWriter(str(directory / f"insects-{shard:06}.tar")) as tar:
            for place, name, label, jpeg in in_shards(pictures):
                if place != shard:
                    continue
                about = {"json": {"label": labels_of(label, True)}} if several else {"cls": label}
                tar.write({"__key__": without_extension(name), "jpg": jpeg, **about})
    return expected(pictures, without_extension, several)


def read_webdataset(directory):
    found = {}
    tars = [str(tar) for tar in sorted(directory.glob("*.tar"))]
    for sample in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False):
        labels = json.loads(sample["json"])["label"] if "json" in sample else [int(sample["cls"])]
        found[sample["__key__"]] = {"labels": labels, "sha256": hashlib.sha256(sample["jpg"]).hexdigest()}
    return found


# TensorFlow Datasets --------------------------------------------------------------------------------------------------


def tfds_features(encoding):
    return tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format=encoding),
        "label": tfds.features.ClassLabel(names=CLASSES),
        "file_name": tfds.features.Text()})


def write_tfds(directory, pictures, split="train", encoding="jpeg"):
    """insects-train.tfrecord-00000-of-00003 ..., features.json and dataset_info.json, serialized by TFDS itself."""
    directory.mkdir(parents=True)
    features = tfds_features(encoding)
    for shard in range(SHARDS):
        path = directory / f"insects-{split}.tfrecord-{shard:05}-of-{SHARDS:05}"
        with tf.io.TFRecordWriter(str(path)) as file:
            for place, name, label, image in in_shards(pictures):
                if place == shard:
                    example = {"image": io.BytesIO(image), "label": label, "file_name": name}
                    file.write(features.serialize_example(features.encode_example(example)))
    template = tfds.core.ShardedFileTemplate(data_dir=directory, dataset_name="insects", split=split,
                                             filetype_suffix="tfrecord")
    counts = [sum(place == shard for place, *_ in in_shards(pictures)) for shard in range(SHARDS)]
    info = tfds.core.SplitInfo(name=split, shard_lengths=counts, num_bytes=0, filename_template=template)
    tfds.folder_dataset.write_metadata(data_dir=directory, features=features, split_infos=[info])
    return expected(pictures)


def read_tfds(directory, split="train"):
    builder = tfds.builder_from_directory(directory)
    decoders = {"image": tfds.decode.SkipDecoding()}
    return {example["file_name"].decode(): {"labels": [int(example["label"])],
                                            "sha256": hashlib.sha256(example["image"]).hexdigest()}
            for example in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))}


# TFRecords of both conventions, gzip ----------------------------------------------------------------------------------


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def ints_feature(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


# convention: (image, labels, file name, number of the first class)
CONVENTIONS = {"models": ("image/encoded", "image/class/label", "image/filename", 1),
               "tfds": ("image", "label", "file_name", 0)}


def write_gzip(directory, pictures, convention, several=False):
    """train-00000-of-00003 ..., whole files through gzip, as tf.io.TFRecordWriter compresses them."""
    directory.mkdir(parents=True)
    image, labels, file_name, first = CONVENTIONS[convention]
    for shard in range(SHARDS):
        path = directory / f"train-{shard:05}-of-{SHARDS:05}"
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as file:
            for place, name, label, jpeg in in_shards(pictures):
                if place == shard:
                    file.write(tf.train.Example(features=tf.train.Features(feature={
                        image: bytes_feature(jpeg), file_name: bytes_feature(name.encode()),
                        labels: ints_feature([first + one for one in labels_of(label, several)])})).SerializeToString())
    return expected(pictures, several=several)


def read_gzip(directory, convention):
    image, labels, file_name, first = CONVENTIONS[convention]
    found = {}
    shards = [str(path) for path in sorted(directory.iterdir())]
    for raw in tf.data.TFRecordDataset(shards, compression_type="GZIP"):
        feature = tf.train.Example.FromString(raw.numpy()).features.feature
        found[feature[file_name].bytes_list.value[0].decode()] = {
            "labels": [one - first for one in feature[labels].int64_list.value],
            "sha256": hashlib.sha256(feature[image].bytes_list.value[0]).hexdigest()}
    return found


def make_all(root, pictures):
    """{kind: what it holds}, each in root/kind."""
    made = {"webdataset": write_webdataset(root / "webdataset", pictures),
            "webdataset-several": write_webdataset(root / "webdataset-several", pictures, several=True),
            "tfds": write_tfds(root / "tfds", pictures),
            "tfds-png": write_tfds(root / "tfds-png", as_png(pictures), "test", "png")}
    read = {"webdataset": read_webdataset(root / "webdataset"),
            "webdataset-several": read_webdataset(root / "webdataset-several"),
            "tfds": read_tfds(root / "tfds"),
            "tfds-png": read_tfds(root / "tfds-png", "test")}
    for convention in CONVENTIONS:
        kind = f"gzip-{convention}"
        made[kind] = write_gzip(root / kind, pictures, convention, several=convention == "models")
        read[kind] = read_gzip(root / kind, convention)
    for kind, content in made.items():
        assert len(content) == len(pictures) and read[kind] == content, f"{kind}: its own program reads something else"
    return made


def run(root):
    made = make_all(root, make_pictures(17, np.random.default_rng(7)))
    (root / "expected.json").write_text(json.dumps(made, indent=1, sort_keys=True))
    print(f"{root}: {', '.join(made)}, {len(made['tfds'])} images each")


def main():
    if len(sys.argv) > 1:
        return run(pathlib.Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as name:
        return run(pathlib.Path(name))


if __name__ == "__main__":
    main()
