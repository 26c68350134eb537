"""Crop, resize and mirror of JPEG files against Pillow, byte for byte.

usage: resize_pillow.py RESIZE_DUMP
"""
import io
import random
import subprocess
import sys
import tempfile

import numpy
from PIL import Image, ImageOps

# Pillow's libjpeg-turbo may be newer; none of these forms has changed its pixels.
FORMS = {
    "4:4:4": ("RGB", dict(subsampling=0)),
    "4:2:2": ("RGB", dict(subsampling=1)),
    "4:2:0": ("RGB", dict(subsampling=2)),
    "4:2:0 progressive": ("RGB", dict(subsampling=2, progressive=True)),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
}


def picture(rng, mode, width, height):
    """Smooth colours with hard edges and noise."""
    channels = len(mode)
    coarse = rng.integers(0, 256, (5, 4, channels), dtype=numpy.uint8)
    planes = [Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC) for c in range(channels)]
    pixels = numpy.stack([numpy.asarray(plane) for plane in planes], -1).astype(int)
    pixels[height // 3 : height // 2, width // 4 : width // 2] += 100
    pixels += rng.integers(-12, 13, pixels.shape)
    pixels = pixels.clip(0, 255).astype(numpy.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def expected(jpeg, case):
    x, y, width, height, resized_width, resized_height, offset_x, offset_y, flip, size = case
    image = Image.open(io.BytesIO(jpeg)).convert("RGB").crop((x, y, x + width, y + height))
    once = image.resize((resized_width, resized_height), Image.BILINEAR)
    # Columns before rows, as Pillow always did before it took the order of less work; the two differ by rounding.
    image = image.resize((resized_width, height), Image.BILINEAR).resize((resized_width, resized_height), Image.BILINEAR)
    assert numpy.abs(numpy.asarray(once).astype(int) - numpy.asarray(image)).max() <= 1
    image = image.crop((offset_x, offset_y, offset_x + size, offset_y + size))
    return numpy.asarray(ImageOps.mirror(image) if flip else image)


def random_case(numbers, width, height):
    size = numbers.choice([1, 7, 64, 128, 224])
    offset_x, offset_y = numbers.randrange(0, 40), numbers.randrange(0, 40)
    x, y = numbers.randrange(0, width), numbers.randrange(0, height)
    return (x, y, numbers.randint(1, width - x), numbers.randint(1, height - y),
            size + offset_x + numbers.randrange(0, 40), size + offset_y + numbers.randrange(0, 40),
            offset_x, offset_y, numbers.randrange(0, 2), size)


def main():
    program = sys.argv[1]
    numbers, rng = random.Random(1), numpy.random.default_rng(1)
    compared = 0
    for name, (mode, options) in FORMS.items():
        for width, height in ((500, 375), (333, 501), (64, 48), (3, 5), (1, 1)):
            stream = io.BytesIO()
            picture(rng, mode, width, height).save(stream, "JPEG", quality=numbers.choice([75, 90, 97]), **options)
            jpeg = stream.getvalue()
            # The whole unchanged in size where it fits, then draws.
            side = min(width, height)
            cases = [(0, 0, side, side, side, side, 0, 0, 0, side)]
            cases += [random_case(numbers, width, height) for _ in range(6)]
            with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
                file.write(jpeg)
                file.flush()
                for case in cases:
                    command = [program, file.name] + [str(number) for number in case] + ["1"]
                    ours = numpy.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout,
                                            numpy.uint8).reshape(case[-1], case[-1], 3)
                    theirs = expected(jpeg, case)
                    if not numpy.array_equal(ours, theirs):
                        difference = numpy.abs(ours.astype(int) - theirs)
                        sys.exit(f"{name} {width}x{height} {case}: {numpy.count_nonzero(difference)} bytes differ, "
                                 f"by at most {difference.max()}")
                    compared += 1
    print(f"{compared} images equal Pillow's")


main()
