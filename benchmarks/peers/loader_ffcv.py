#!/usr/bin/env python3
"""FFCV doing what `bit-bench loader` does, from its own file, into which it encodes every image anew: quality 90, 4:2:0, the longer
side at most 512 pixels. Lossy, so it only stands beside shards that were made so too.

    loader_ffcv.py --data DIR --beton FILE --write    writes that file from the shards of DIR
    loader_ffcv.py --data DIR --beton FILE            measures it

Its fastest settings: mapped file, threads, three batches ahead, a random order. It decodes whole images with the fast inverse DCT,
resizes by area without rounding as Pillow does, and verifies nothing.
"""
import io
import pathlib
import sys

import ffcv
import numpy
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder, ResizedCropRGBImageDecoder, get_random_crop
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import RandomHorizontalFlip, ToTensor
from ffcv.writer import DatasetWriter
from peer import CHECKED, DRAWS, check, encoded_images, options_of, serve
from PIL import Image

QUALITY, MAX_SIDE = 90, 512
AHEAD = 3  # batches


def version():
    from importlib.metadata import version as version_of

    return version_of("ffcv")


class FixedCrop(ResizedCropRGBImageDecoder):
    """peer.fixed_box, in the form that FFCV compiles: (top, left, height, width)."""

    def __init__(self, output_size):
        super().__init__(output_size)
        self.scale = self.ratio = None

    @property
    def get_crop_generator(self):
        def crop(height, width, _, __):
            top, left = height // 8, width // 8
            return top, left, height - 2 * top, width - 2 * left

        return crop


class Records:
    """The images of the shards as pixels, for DatasetWriter."""

    def __init__(self, options):
        self.images = encoded_images(options)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, n):
        return numpy.asarray(Image.open(io.BytesIO(self.images[n])).convert("RGB")), 0


def write(options):
    fields = {"image": RGBImageField(write_mode="jpg", max_resolution=MAX_SIDE, jpeg_quality=QUALITY), "label": IntField()}
    records = Records(options)
    DatasetWriter(str(options.beton), fields, num_workers=options.threads).from_indexed_dataset(records)
    print(f"{options.beton}: {len(records)} records, {options.beton.stat().st_size / 1e6:.1f} MB")


def loader(options, decoder, batch, transforms, **settings):
    return Loader(str(options.beton), batch_size=batch, num_workers=options.threads, os_cache=True, batches_ahead=AHEAD,
                  pipelines={"image": [decoder, *transforms, ToTensor()], "label": None}, **settings)


def endless(options):
    """Batches of one epoch after another."""
    side, records = options.image_size, len(ffcv.reader.Reader(str(options.beton)).alloc_table)
    decoder = RandomResizedCropRGBImageDecoder((side, side), scale=(options.crop_area_min, 1.0), ratio=(3 / 4, 4 / 3))
    batches = loader(options, decoder, options.batch, [RandomHorizontalFlip()], order=OrderOption.RANDOM, drop_last=True,
                     indices=numpy.tile(numpy.arange(records), 100), seed=1)
    while True:
        yield from batches


def fixed_crops(images, options):
    side, count = options.image_size, len(images)
    batches = loader(options, FixedCrop((side, side)), count, [], order=OrderOption.SEQUENTIAL, drop_last=True,
                     indices=numpy.arange(count))
    return numpy.array(next(iter(batches))[0])


def crop_areas(images, options):
    for encoded in images:
        width, height = Image.open(io.BytesIO(encoded)).size
        for _ in range(DRAWS):
            box = get_random_crop(height, width, (options.crop_area_min, 1.0), numpy.array([3 / 4, 4 / 3]))
            yield box[2] * box[3] / (width * height)


def main():
    parser = options_of(__doc__)
    parser.add_argument("--beton", type=pathlib.Path, required=True, help="FFCV's file")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write:
        return write(options)
    if options.check:
        return check(options, lambda images: fixed_crops(images, options), lambda images: crop_areas(images, options), 12,
                     originals=encoded_images(options, CHECKED))
    batches = endless(options)
    serve(lambda: next(batches), options, AHEAD + 2, peer=f"FFCV {version()}", pixels="q90, at most 512 px, fast IDCT",
          antialias="area")
    return 0


if __name__ == "__main__":
    sys.exit(main())
