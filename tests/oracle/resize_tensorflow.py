"""Crop, resize and mirror of JPEG files without antialias against tf.image.resize, within a rounding.

usage: resize_tensorflow.py RESIZE_DUMP

TensorFlow's resize keeps floats; ours rounds to bytes after the columns and again after the rows, so that a level of a
byte is at most 1.0 from TensorFlow's value, and about a quarter in the mean: the first error is weighted over two rows.
"""
import io
import os
import random
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy  # noqa: E402
import tensorflow  # noqa: E402
from PIL import Image  # noqa: E402


def picture(rng, width, height):
    """Smooth colours with hard edges and noise."""
    coarse = Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=numpy.uint8))
    pixels = numpy.asarray(coarse.resize((width, height), Image.BICUBIC)).astype(int)
    pixels[height // 3 : height // 2, width // 4 : width // 2] += 100
    pixels += rng.integers(-12, 13, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))


def expected(pixels, case):
    x, y, width, height, resized_width, resized_height, offset_x, offset_y, flip, size = case
    resized = tensorflow.image.resize(pixels[y : y + height, x : x + width], (resized_height, resized_width),
                                      method="bilinear", antialias=False).numpy()
    square = resized[offset_y : offset_y + size, offset_x : offset_x + size]
    return square[:, ::-1] if flip else square


def cases(numbers, width, height):
    """The evaluations and crops of the released recipes, then draws."""
    whole = (0, 0, width, height)
    yield *whole, 480, 480, 0, 0, 0, 480
    yield *whole, 128, 128, 0, 0, 0, 128
    for resize, size in ((512, 480), (160, 128)):
        offset_x, offset_y = (numbers.randint(0, resize - size) for _ in range(2))
        yield *whole, resize, resize, offset_x, offset_y, numbers.randint(0, 1), size
    for _ in range(6):
        x, y = numbers.randrange(0, width), numbers.randrange(0, height)
        yield x, y, numbers.randint(1, width - x), numbers.randint(1, height - y), 224, 224, 0, 0, numbers.randint(0, 1), 224


def main():
    program = sys.argv[1]
    numbers, rng = random.Random(1), numpy.random.default_rng(1)
    worst, total, means = 0.0, 0, []
    for width, height in ((500, 375), (333, 501), (1200, 900), (32, 32), (64, 48), (3, 5), (1, 1)):
        stream = io.BytesIO()
        picture(rng, width, height).save(stream, "JPEG", quality=95, subsampling=0)
        pixels = numpy.asarray(Image.open(stream))
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            file.write(stream.getvalue())
            file.flush()
            for case in cases(numbers, width, height):
                command = [program, file.name] + [str(number) for number in case] + ["0"]
                ours = numpy.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout,
                                        numpy.uint8).reshape(case[-1], case[-1], 3)
                theirs = expected(pixels, case)
                error = numpy.abs(ours - theirs)
                # TensorFlow's own float32 places samples of a long side within 1/1000 of where they are.
                if error.max() > 1.02 or error.mean() > 0.35 or abs((ours - theirs).mean()) > 0.2:
                    sys.exit(f"{width}x{height} {case}: off by {error.max():.3f} at most, {error.mean():.3f} in the mean")
                worst, total = max(worst, error.max()), total + 1
                means.append(error.mean())
    print(f"{total} images are tf.image.resize's: off by {worst:.3f} at most, {numpy.mean(means):.3f} in the mean")


main()
