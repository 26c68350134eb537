"""What the peers of `bit-bench loader --on-request` share: their options, the records, windows on request, the check of pixels.

A peer is a long-lived process. For each line "go SECONDS" on standard input it measures one window and prints one JSON object:
images, seconds, cpu_seconds, rss_bytes, peak_rss_bytes, and what it is. Its first window warms it up. Between windows
interleave.py stops the whole process group, and what was prefetched is thrown away before the clock starts, so no window lives
on work of another.
"""
import argparse
import io
import itertools
import json
import os
import pathlib
import random
import resource
import statistics
import sys
import time

from tfrecord import examples, split_shards, values

CHECKED = 64  # images whose pixels are compared with Pillow's
DRAWS = 20  # crops an image whose areas are averaged


def options_of(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="directory of a dataset")
    parser.add_argument("--split", default="train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--crop-area-min", type=float, default=0.08)
    parser.add_argument("--check", action="store_true", help="compare pixels and crops with Pillow's instead of measuring")
    return parser


def shards_of(options):
    return split_shards(options.data, options.split)


def count_records(shards):
    """From the indexes beside the shards, one line a record."""
    return sum(pathlib.Path(shard + ".idx").read_bytes().count(b"\n") for shard in shards)


def encoded_images(options, limit=None):
    """The image of every record, in the order of the shards. Equal images are held once; checksums are not looked at."""
    images, seen = [], {}
    for example in itertools.islice(examples(shards_of(options)), limit):
        image = bytes(values(example, b"image/encoded")[0])
        images.append(seen.setdefault(image, image))
    return images


# ---- Windows on request -----------------------------------------------------------------------


def processes():
    """This process and its children, the workers of a DataLoader."""
    tasks = pathlib.Path("/proc/self/task").iterdir()
    return [os.getpid(), *{int(child) for task in tasks for child in (task / "children").read_text().split()}]


def cpu_seconds():
    """User and system time of all threads and children so far."""
    ticks = 0
    for process in processes():
        numbers = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(numbers[11]) + int(numbers[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_bytes():
    """Resident memory; with workers the sum of proportional shares, since they share much."""
    found = processes()
    line = "Rss:" if len(found) == 1 else "Pss:"
    rolls = (pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines() for process in found)
    return sum(int(entry.split()[1]) * 1024 for roll in rolls for entry in roll if entry.startswith(line))


def peak_rss_bytes():
    """The most this process ever held, without its children."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(step, options, ahead, **settings):
    """Answers requests until standard input ends. `step()` takes one batch; `ahead` batches may lie finished in queues."""
    for request in sys.stdin:
        command, seconds = request.split()
        if command != "go":
            sys.exit(f"not understood: {request.strip()}")
        for _ in range(ahead + 1):
            step()
        cpu, began, steps = cpu_seconds(), time.monotonic(), 0
        while (spent := time.monotonic() - began) < float(seconds):
            step()
            steps += 1
        print(json.dumps({"images": steps * options.batch, "seconds": spent, "cpu_seconds": cpu_seconds() - cpu,
                          "rss_bytes": rss_bytes(), "peak_rss_bytes": peak_rss_bytes(), "threads": options.threads,
                          **settings}), flush=True)


# ---- The check of pixels and crops ------------------------------------------------------------


def fixed_box(width, height):
    """(left, top, width, height) of the crop whose pixels are compared: three quarters of each side, in the middle."""
    left, top = width // 8, height // 8
    return left, top, width - 2 * left, height - 2 * top


def draw_box(width, height, area_min):
    """RandomResizedCrop as everybody defines it; the largest centred box of an allowed aspect where ten draws do not fit."""
    for _ in range(10):
        area = width * height * random.uniform(area_min, 1)
        aspect = (3 / 4) * (16 / 9) ** random.random()
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, width - w), random.randint(0, height - h), w, h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (width - w) // 2, (height - h) // 2, w, h


def check(options, fixed, areas, bound, box=fixed_box, originals=None):
    """Prints how far the peer is from Pillow: its pixels of the fixed crop, and the mean share of the area that it crops.

    `fixed(images)` gives the square of each encoded image as uint8 [size, size, 3]; `areas(images)` shares of random crops.
    `bound` is the mean difference in levels that its settings explain. The exit code says whether all holds.
    """
    import numpy
    from PIL import Image

    images = encoded_images(options, CHECKED) if originals is None else originals
    size, means, largest, expected = options.image_size, [], 0, []
    for encoded, square in zip(images, fixed(images), strict=True):
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        left, top, width, height = box(*image.size)
        wanted = image.crop((left, top, left + width, top + height)).resize((size, size), Image.Resampling.BILINEAR)
        difference = numpy.abs(numpy.asarray(wanted, numpy.int16) - numpy.asarray(square, numpy.int16))
        means.append(float(difference.mean()))
        largest = max(largest, int(difference.max()))
        for _ in range(DRAWS):
            w, h = draw_box(*image.size, options.crop_area_min)[2:]
            expected.append(w * h / (image.width * image.height))
    area, normal = float(statistics.mean(areas(images))), statistics.mean(expected)
    holds = statistics.mean(means) <= bound and abs(area - normal) <= 0.03
    print(json.dumps({"mean_difference": statistics.mean(means), "largest_difference": largest, "bound": bound,
                      "crop_area": area, "expected_crop_area": normal, "holds": holds}), flush=True)
    return 0 if holds else 1
