#!/usr/bin/env python3
"""torchvision doing what `bit-bench loader` does, from JPEG bytes in memory: no TFRecord is read and nothing is verified.

Its fastest settings: uint8 tensors from `decode_jpeg` to the batch, antialiased; with one thread everything in this process,
with more a DataLoader whose workers make whole batches. --decoder pillow decodes, crops and resizes with Pillow instead.
"""
import io
import random
import sys
import warnings

import numpy
import PIL
import torch
import torchvision
from peer import DRAWS, check, encoded_images, fixed_box, options_of, serve
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

PREFETCH = 2  # batches a worker

warnings.filterwarnings("ignore", "The given buffer is not writable")  # decode_jpeg only reads it


def torch_square(encoded, box, size):
    """`box(width, height)` gives (left, top, width, height). Returns uint8 [size, size, 3]."""
    image = decode_jpeg(torch.frombuffer(encoded, dtype=torch.uint8), mode=ImageReadMode.RGB)
    left, top, width, height = box(image.shape[2], image.shape[1])
    return F.resized_crop(image, top, left, height, width, [size, size], antialias=True).permute(1, 2, 0)


def pillow_square(encoded, box, size):
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    left, top, width, height = box(*image.size)
    image = image.crop((left, top, left + width, top + height)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(numpy.array(image))


SQUARES = {"torchvision": torch_square, "pillow": pillow_square}


def random_box(crop, width, height):
    drawn = crop.make_params([torch.empty((3, height, width), device="meta")])
    return drawn["left"], drawn["top"], drawn["width"], drawn["height"]


class Batches(torch.utils.data.IterableDataset):
    """Endless batches, uint8 [batch, size, size, 3]; images in a random order."""

    def __init__(self, images, options):
        self.images, self.options = images, options

    def __iter__(self):
        torch.set_num_threads(1)
        options = self.options
        square, crop = SQUARES[options.decoder], random_crop(options)
        order = []
        while True:
            batch = torch.empty((options.batch, options.image_size, options.image_size, 3), dtype=torch.uint8)
            for slot in batch:
                order = order or random.sample(range(len(self.images)), len(self.images))
                image = square(self.images[order.pop()], lambda *sides: random_box(crop, *sides), options.image_size)
                slot.copy_(image.flip(1) if random.random() < 0.5 else image)
            yield batch


def random_crop(options):
    return RandomResizedCrop(options.image_size, scale=(options.crop_area_min, 1.0), ratio=(3 / 4, 4 / 3), antialias=True)


def crop_areas(images, options):
    crop = random_crop(options)
    for encoded in images:
        width, height = Image.open(io.BytesIO(encoded)).size
        for _ in range(DRAWS):
            box = random_box(crop, width, height)
            yield box[2] * box[3] / (width * height)


def main():
    parser = options_of(__doc__)
    parser.add_argument("--decoder", choices=SQUARES, default="torchvision")
    options = parser.parse_args()
    if options.check:
        square = SQUARES[options.decoder]
        return check(options, lambda images: (square(image, fixed_box, options.image_size).numpy() for image in images),
                     lambda images: crop_areas(images, options), 0.6)
    batches, ahead = Batches(encoded_images(options), options), 0
    if options.threads > 1:
        batches = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=options.threads, prefetch_factor=PREFETCH)
        ahead = options.threads * PREFETCH
    running = iter(batches)
    pillow = f" with Pillow {PIL.__version__}" if options.decoder == "pillow" else ""
    serve(lambda: next(running), options, ahead, peer=f"torchvision {torchvision.__version__}{pillow}, in memory",
          pixels="accurate", antialias=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
