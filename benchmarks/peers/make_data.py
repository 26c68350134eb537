#!/usr/bin/env python3
"""Makes the datasets of compare.py from a folder of JPEG photographs in class folders.

    make_data.py --images FOLDER --output DIR [--bit-shard PATH]

    untouched         every file eight times, bytes as they are
    prepared          the same pixels, prepared losslessly with restart intervals, as bit-shard does by default
    lossy             encoded anew at quality 90, 4:2:0, the longer side at most 512 pixels, as FFCV's file
    photos            12-megapixel photographs, mosaics of the images at full detail, as they are
    photos-prepared   the same, prepared
    thousand          every file twice, prepared
    outlier           the same and one 40-megapixel photograph, prepared
    outlier-alone     that photograph 16 times, prepared

A dataset that is there is kept; a conversion that was stopped goes on.
"""
import argparse
import os
import pathlib
import random
import subprocess
import tempfile

from PIL import Image, ImageOps

REPLICAS, SHARDS = 8, 8
PHOTOS, PHOTO_REPLICAS, PHOTO_SIDES = 48, 4, (4000, 3000)
OUTLIER_SIDES, OUTLIER_REPLICAS = (7304, 5478), 16  # 40.0 megapixels
TILE = (500, 375)
LOSSY = ["--jpeg", "lossy", "--quality", "90", "--subsampling", "420", "--max-side", "512"]


def replicate(files, folder, count):
    """Links (or copies) every file `count` times, in its class folder."""
    for file in files:
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            target = folder / file.parent.name / f"{n}-{file.name}"
            try:
                os.link(file, target)
            except OSError:
                target.write_bytes(file.read_bytes())


def write_mosaic(files, sides, path, chance):
    """A photograph with detail everywhere: tiles that are images at about their own size."""
    photo = Image.new("RGB", sides)
    for left in range(0, sides[0], TILE[0]):
        for top in range(0, sides[1], TILE[1]):
            photo.paste(ImageOps.fit(Image.open(chance.choice(files)).convert("RGB"), TILE), (left, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=92, subsampling="4:2:0")


def convert(options, name, folder, *arguments, shards=SHARDS):
    """`folder` is a function that fills a folder with the input; only called when the dataset is not there."""
    target = options.output / name
    if (target / "dataset.json").exists():
        print(f"{target} is there")
        return
    with tempfile.TemporaryDirectory(prefix="input-", dir=options.output) as source:
        folder(pathlib.Path(source))
        subprocess.run([options.bit_shard, "convert", "--input", source, "--output", target, "--name", "photographs",
                        "--split", "train", "--shards", str(shards), *arguments], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--bit-shard", default="build/release/bin/bit-shard")
    options = parser.parse_args()
    files = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        parser.error(f"{options.images} has no .jpg or .jpeg files in it or below")
    options.output.mkdir(parents=True, exist_ok=True)

    def photos(folder):
        chance = random.Random(5)
        paths = [folder / "made" / "photo" / f"{n}.jpg" for n in range(PHOTOS)]
        for path in paths:
            write_mosaic(files, PHOTO_SIDES, path, chance)
        replicate(paths, folder, PHOTO_REPLICAS)
        for path in paths:
            path.unlink()
        paths[0].parent.rmdir()
        paths[0].parent.parent.rmdir()

    def thousand(folder):
        replicate(files, folder, 2)

    def outlier(folder):
        write_mosaic(files, OUTLIER_SIDES, folder / files[0].parent.name / "outlier.jpg", random.Random(6))

    def outlier_alone(folder):
        outlier(folder)
        replicate(list(folder.rglob("outlier.jpg")), folder, OUTLIER_REPLICAS - 1)

    def thousand_and_outlier(folder):
        thousand(folder)
        outlier(folder)

    def replicas(folder):
        replicate(files, folder, REPLICAS)

    convert(options, "untouched", replicas, "--jpeg", "keep")
    convert(options, "prepared", replicas)
    convert(options, "lossy", replicas, *LOSSY)
    convert(options, "photos", photos, "--jpeg", "keep")
    convert(options, "photos-prepared", photos)
    convert(options, "thousand", thousand)
    convert(options, "outlier", thousand_and_outlier)
    convert(options, "outlier-alone", outlier_alone, shards=1)


if __name__ == "__main__":
    main()
