#!/usr/bin/env python3
"""tf.data doing what `bit-bench loader` does: TFRecord with both checksums, random crop and resize, flip, uint8 NHWC batches.

Its fastest settings: the fused partial decode, a private thread pool, a fixed number of parallel calls (autotuning costs a
little and finds the same), batches taken without leaving the graph. --pixels fast adds the fast inverse DCT and plain chroma
upsampling; the resized values are cut off, not rounded, to bytes.
"""
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from peer import DRAWS, check, count_records, fixed_box, options_of, serve, shards_of

DEPTH = 2  # of the queue of batches


def draw_box(shape, options):
    """(top, left, height, width) of RandomResizedCrop."""
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape, bounding_boxes=tf.zeros([1, 0, 4]), min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(options.crop_area_min, 1.0), max_attempts=10, use_image_if_no_bounding_boxes=True)
    return tf.stack([begin[0], begin[1], size[0], size[1]])


def square(encoded, box, options):
    fast = options.pixels == "fast"
    image = tf.io.decode_and_crop_jpeg(encoded, box, channels=3, fancy_upscaling=not fast,
                                       dct_method="INTEGER_FAST" if fast else "INTEGER_ACCURATE")
    image = tf.image.resize(image, [options.image_size, options.image_size], antialias=options.antialias)
    return tf.cast(image, tf.uint8)


def training(options):
    shards, calls = shards_of(options), options.threads
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string), "image/class/label": tf.io.FixedLenFeature([], tf.int64)}

    def example(record):
        parsed = tf.io.parse_single_example(record, features)
        encoded = parsed["image/encoded"]
        image = square(encoded, draw_box(tf.io.extract_jpeg_shape(encoded), options), options)
        return tf.image.random_flip_left_right(image), parsed["image/class/label"]

    settings = tf.data.Options()
    settings.threading.private_threadpool_size = options.threads
    settings.threading.max_intra_op_parallelism = 1
    settings.autotune.enabled = False
    settings.deterministic = False
    records = tf.data.Dataset.from_tensor_slices(shards).repeat().interleave(
        lambda shard: tf.data.TFRecordDataset(shard, buffer_size=1 << 20), cycle_length=min(8, len(shards)),
        num_parallel_calls=calls)
    return (records.shuffle(min(4096, count_records(shards))).map(example, num_parallel_calls=calls)
            .batch(options.batch, drop_remainder=True).prefetch(DEPTH).with_options(settings))


def sides_of(image):
    height, width, _ = tf.io.extract_jpeg_shape(image).numpy()
    return int(width), int(height)


def fixed_crops(images, options):
    for image in images:
        left, top, width, height = fixed_box(*sides_of(image))
        yield square(image, tf.constant([top, left, height, width]), options).numpy()


def crop_areas(images, options):
    for image in images:
        width, height = sides_of(image)
        for _ in range(DRAWS):
            box = draw_box(tf.constant([height, width, 3]), options).numpy()
            yield box[2] * box[3] / (width * height)


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
