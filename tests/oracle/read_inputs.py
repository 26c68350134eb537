#!/usr/bin/env python3
"""bit-shard makes records of the same keys, labels and pixels of what make_inputs.py wrote, and of lists and tars.

    read_inputs.py BIT_SHARD       JPEGs must keep every pixel, PNGs have those of Pillow's JPEG; TFDS reads the same labels
"""
import csv
import os
import pathlib
import sys
import tarfile
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from make_inputs import CLASSES, as_png, labels_of, make_all, make_pictures, without_extension, write_folders
from shard_records import convert, decode_with_pillow, read_records, through_jpeg

IMAGES = 17  # of each class


def write_list(root, pictures):
    """A CSV with several labels in a cell, its images beside it."""
    write_folders(root, pictures)
    with open(root / "images.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels"])
        for name, (label, _) in pictures.items():
            rows.writerow([name, ";".join(CLASSES[one] for one in labels_of(label, True))])
    return root / "images.csv"


def write_tar(root, pictures, form):
    """Class folders in a tar, in one of Python's three forms of it."""
    write_folders(root / "files", pictures)
    with tarfile.open(root / "images.tar", "w", format=form) as tar:
        tar.add(root / "files", arcname=".")
    return root / "images.tar"


def with_long_names(pictures):
    """Names that do not fit into the header of a tar's member."""
    return {name.replace("/", "/" + "läng" * 40): picture for name, picture in pictures.items()}


def check(directory, images, labels):
    """`images` and `labels` by key; labels from 0, in their order."""
    records = read_records(directory)
    assert sorted(records) == sorted(images), f"{directory}: other keys: {sorted(set(records) ^ set(images))[:4]}"
    for key, image in images.items():
        record, expected = records[key], decode_with_pillow(image)
        if not image.startswith(b"\xff\xd8"):
            expected = through_jpeg(expected)
        assert record.labels == [1 + one for one in labels[key]], f"{directory}: {key}: labels {record.labels}"
        assert record.text == CLASSES[labels[key][0]], f"{directory}: {key}: class {record.text}"
        assert record.size == (expected.shape[1], expected.shape[0]), f"{directory}: {key}: it says {record.size}"
        assert np.array_equal(decode_with_pillow(record.jpeg), expected), f"{directory}: {key}: other pixels"
    check_with_tfds(directory, records, any(len(some) > 1 for some in labels.values()))


def check_with_tfds(directory, records, several):
    """The labels of all records as TFDS reads them."""
    builder = tfds.builder_from_directory(directory)
    feature = builder.info.features["image"]["class"]["label"]
    assert isinstance(feature, tfds.features.Sequence) == several, feature
    names = (feature.feature if several else feature).names
    assert names == ["background", *CLASSES], names
    skip = {"image": {"encoded": tfds.decode.SkipDecoding()}}
    found = {}
    for example in tfds.as_numpy(builder.as_dataset(split="train", decoders=skip)):
        image = example["image"]
        found[image["filename"].decode()] = [int(one) for one in np.atleast_1d(image["class"]["label"])]
    assert found == {key: record.labels for key, record in records.items()}, f"{directory}: other labels for TFDS"


def check_merged(bit_shard, root, pictures):
    """Equal pixels in files of three formats and classes are one record with three labels."""
    one = next(iter(pictures))
    write_folders(root / "merge", pictures)
    pixels = decode_with_pillow(pictures[one][1])
    Image.fromarray(pixels).save(root / "merge" / "bee" / "same.png")
    Image.fromarray(pixels).save(root / "merge" / "cat" / "same.bmp")
    output = convert(bit_shard, root / "merge", root / "merged", "--merge-duplicates")
    images = {name: image for name, (_, image) in pictures.items()}
    labels = {name: [label] for name, (label, _) in pictures.items()} | {one: [0, 1, 2]}
    check(output, images, labels)


def images_of(pictures, key_of=lambda name: name):
    return {key_of(name): image for name, (_, image) in pictures.items()}


def main():
    bit_shard = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        pictures = make_pictures(IMAGES, np.random.default_rng(7))
        made = make_all(root, pictures)
        (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
        named = ("--classes", str(root / "classes.txt"))
        files, samples = images_of(pictures), images_of(pictures, without_extension)
        # What is converted, what is in it, and what bit-shard has to be told.
        inputs = [
            ("webdataset", "insects-{000000..000002}.tar", samples, named),
            ("webdataset", ".", samples, ("--format", "webdataset", *named)),
            ("webdataset-several", "*.tar", samples, ("--json-label", "label", *named)),
            ("tfds", ".", files, ()),
            ("tfds-png", ".", images_of(as_png(pictures)), ("--source-split", "test")),
            ("gzip-models", "train-*", files, named),
            ("gzip-tfds", ".", files, ("--format", "tfrecord", *named)),
        ]
        for number, (kind, paths, images, options) in enumerate(inputs):
            output = convert(bit_shard, root / kind / paths, root / f"out-{number}", *options)
            check(output, images, {key: content["labels"] for key, content in made[kind].items()})

        several = {name: labels_of(label, True) for name, (label, _) in pictures.items()}
        check(convert(bit_shard, write_list(root / "list", pictures), root / "out-list"), files, several)
        long = with_long_names(pictures)
        forms = {"ustar": (tarfile.USTAR_FORMAT, pictures), "gnu": (tarfile.GNU_FORMAT, long),
                 "pax": (tarfile.PAX_FORMAT, long)}
        for form, (number, sources) in forms.items():
            output = convert(bit_shard, write_tar(root / form, sources, number), root / f"out-{form}")
            check(output, images_of(sources), {name: [label] for name, (label, _) in sources.items()})
        check_merged(bit_shard, root, pictures)
        print(f"{len(inputs) + len(forms) + 2} inputs: the same keys, labels and pixels")


if __name__ == "__main__":
    main()
