#!/usr/bin/env python3
"""Makes clothing-72.tar from the photographs of alexeygrigorev/clothing-dataset-small (CC0 1.0).

Every photograph is shrunk to a short side of 72 pixels and written as a baseline JPEG without metadata, at the largest
quality for which the whole archive stays within 8,000,000 bytes. Equal input and equal Pillow give equal bytes.

    git clone https://github.com/alexeygrigorev/clothing-dataset-small
    python3 examples/make_clothing_72.py clothing-dataset-small examples/clothing-72.tar      (needs Pillow)
"""

import argparse
import io
import pathlib
import tarfile

from PIL import Image, ImageOps

SHORT_SIDE = 72  # pixels
MAX_BYTES = 8_000_000  # of the archive
SPLITS = ("test", "train", "validation")
BLOCK = 512  # tar pads headers and files to blocks of this many bytes


def shrink(path):
    """The photograph upright, RGB, antialiased down to SHORT_SIDE."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    size = tuple(max(SHORT_SIDE, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS)


def encode(image, quality):
    buffer = io.BytesIO()
    image.info.clear()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
    return buffer.getvalue()


def archive_bytes(images, quality):
    blocks = sum(1 + -(-len(encode(image, quality)) // BLOCK) for image in images.values())
    return -(-(blocks + 2) * BLOCK // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def largest_quality(images):
    low, high = 1, 95
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if archive_bytes(images, middle) <= MAX_BYTES else (low, middle - 1)
    return low


def write(images, quality, output):
    with tarfile.open(output, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(images):
            data = encode(images[name], quality)
            member = tarfile.TarInfo(f"clothing-72/{name}")
            member.size, member.mode = len(data), 0o644  # mtime, uid and gid stay 0
            archive.addfile(member, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="folder with train/ validation/ test/ of class folders")
    parser.add_argument("output", type=pathlib.Path)
    arguments = parser.parse_args()
    paths = [path for split in SPLITS for path in sorted((arguments.source / split).glob("*/*.jpg"))]
    images = {path.relative_to(arguments.source).as_posix(): shrink(path) for path in paths}
    quality = largest_quality(images)
    write(images, quality, arguments.output)
    print(f"{len(images)} images, quality {quality}, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
