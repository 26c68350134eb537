#!/usr/bin/env python3
"""tf.data doing what `bit-bench loader` does: TFRecord with both checksums, random crop and resize, flip, uint8 NHWC batches.

Its fastest settings: the fused partial decode, a private thread pool, a fixed number of parallel calls (autotuning costs a
little and finds the same), batches taken without leaving the graph. --pixels fast adds the fast inverse DCT and plain chroma
upsampling; the resized values are cut off, not rounded, to bytes. Crops are drawn before: tf.image.sample_distorted_bounding_box
gives smaller ones (35% of the area instead of 41%), which is less work, and drawing in the graph would cost tf.data time.
"""
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy
import tensorflow as tf
from peer import DRAWS, check, count_records, draw_box, encoded_images, fixed_box, options_of, serve, shards_of

DEPTH = 2  # of the queue of batches


def sides_of(image):
    height, width, _ = tf.io.extract_jpeg_shape(image).numpy()
    return int(width), int(height)


def drawn_boxes(images, options):
    """int32 [images, DRAWS, 4]: crops of each image as (top, left, height, width)."""
    sides = {image: sides_of(image) for image in set(images)}
    boxes = [[draw_box(*sides[image], options.crop_area_min) for _ in range(DRAWS)] for image in images]
    return numpy.array(boxes, numpy.int32)[:, :, [1, 0, 3, 2]]


def square(encoded, box, options):
    fast = options.pixels == "fast"
    image = tf.io.decode_and_crop_jpeg(encoded, box, channels=3, fancy_upscaling=not fast,
                                       dct_method="INTEGER_FAST" if fast else "INTEGER_ACCURATE")
    image = tf.image.resize(image, [options.image_size, options.image_size], antialias=options.antialias)
    return tf.cast(image, tf.uint8)


def training(options):
    shards, calls = shards_of(options), options.threads
    counts = [count_records([shard]) for shard in shards]
    starts = [sum(counts[:n]) for n in range(len(shards))]
    boxes = tf.constant(drawn_boxes(encoded_images(options), options).reshape(-1, 4))
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string), "image/class/label": tf.io.FixedLenFeature([], tf.int64)}

    def records_of(shard, start, count):
        numbers = tf.data.Dataset.range(start, start + count)
        return tf.data.Dataset.zip((tf.data.TFRecordDataset(shard, buffer_size=1 << 20), numbers))

    def example(record, number):
        parsed = tf.io.parse_single_example(record, features)
        box = tf.gather(boxes, number * DRAWS + tf.random.uniform([], maxval=DRAWS, dtype=tf.int64))
        image = square(parsed["image/encoded"], box, options)
        return tf.image.random_flip_left_right(image), parsed["image/class/label"]

    settings = tf.data.Options()
    settings.threading.private_threadpool_size = options.threads
    settings.threading.max_intra_op_parallelism = 1
    settings.autotune.enabled = False
    settings.deterministic = False
    sources = tf.data.Dataset.from_tensor_slices((shards, numpy.array(starts, numpy.int64), numpy.array(counts, numpy.int64)))
    records = sources.repeat().interleave(records_of, cycle_length=min(8, len(shards)), num_parallel_calls=calls)
    return (records.shuffle(min(4096, sum(counts))).map(example, num_parallel_calls=calls)
            .batch(options.batch, drop_remainder=True).prefetch(DEPTH).with_options(settings))


def fixed_crops(images, options):
    for image in images:
        left, top, width, height = fixed_box(*sides_of(image))
        yield square(image, tf.constant([top, left, height, width]), options).numpy()


def crop_areas(images, options):
    for image, boxes in zip(images, drawn_boxes(images, options), strict=True):
        width, height = sides_of(image)
        yield from (box[2] * box[3] / (width * height) for box in boxes)


def main():
    parser = options_of(__doc__)
    parser.add_argument("--pixels", choices=("fast", "accurate"), default="fast")
    parser.add_argument("--antialias", action="store_true")
    options = parser.parse_args()
    if options.check:
        bound = (1.1 if options.pixels == "accurate" else 2) if options.antialias else 12
        return check(options, lambda images: fixed_crops(images, options), lambda images: crop_areas(images, options), bound)
    batches = iter(training(options))
    serve(lambda: next(batches), options, DEPTH + 1, peer=f"tf.data {tf.__version__}", pixels=options.pixels,
          antialias=options.antialias)
    return 0


if __name__ == "__main__":
    sys.exit(main())
