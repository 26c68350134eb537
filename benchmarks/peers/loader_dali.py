#!/usr/bin/env python3
"""DALI on the CPU doing what `bit-bench loader` does: TFRecord, random crop and resize, flip, uint8 NHWC batches.

Its fastest settings: the fused partial decode, mapped shards, an asynchronous pipeline, outputs taken without a copy. --pixels
fast adds the fast inverse DCT and plain chroma upsampling, which change pixels; --pixels accurate decodes as libjpeg-turbo's
default does. Its reader verifies no checksum.
"""
import sys

import numpy
import nvidia.dali
from nvidia.dali import fn, pipeline_def, tfrecord, types
from peer import DRAWS, check, count_records, fixed_box, options_of, serve, shards_of

DEPTH = 2  # of the queue of batches


def resized(images, options):
    return fn.resize(images, size=[options.image_size, options.image_size], interp_type=types.INTERP_LINEAR,
                     antialias=options.antialias)


def decoding(options):
    fast = options.pixels == "fast"
    return {"device": "cpu", "output_type": types.RGB, "use_fast_idct": fast, "jpeg_fancy_upsampling": not fast,
            "adjust_orientation": False}


def random_crops(encoded, options):
    return fn.decoders.image_random_crop(encoded, random_area=[options.crop_area_min, 1.0], random_aspect_ratio=[3 / 4, 4 / 3],
                                         num_attempts=10, **decoding(options))


def training(options):
    shards = shards_of(options)

    @pipeline_def(batch_size=options.batch, num_threads=options.threads, device_id=None, prefetch_queue_depth=DEPTH, seed=1)
    def pipeline():
        features = {"image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
                    "image/class/label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1)}
        read = fn.readers.tfrecord(path=shards, index_path=[s + ".idx" for s in shards], features=features, random_shuffle=True,
                                   initial_fill=min(4096, count_records(shards)), prefetch_queue_depth=2, name="reader")
        images = resized(random_crops(read["image/encoded"], options), options)
        return fn.flip(images, horizontal=fn.random.coin_flip()), read["image/class/label"]

    return pipeline()


def runs_over(images, options, graph, inputs=(), runs=1):
    """What a graph of (encoded, *inputs) gives for each image, and the image's [height, width, 3]; one batch, `runs` times."""
    arrays = [[numpy.frombuffer(image, numpy.uint8) for image in images], *inputs]

    @pipeline_def(batch_size=len(images), num_threads=options.threads, device_id=None, seed=1)
    def pipeline():
        sources = [fn.external_source(source=[values], cycle=True) for values in arrays]
        return graph(*sources), fn.peek_image_shape(sources[0])

    running = pipeline()
    running.build()
    for _ in range(runs):
        squares, shapes = running.run()
        for n in range(len(images)):
            yield numpy.asarray(squares[n]), numpy.asarray(shapes[n])


def fixed_crops(images, options):
    boxes = [fixed_box(int(shape[1]), int(shape[0])) for _, shape in runs_over(images, options, lambda encoded: encoded)]
    starts = [numpy.array(box[:2], numpy.int32) for box in boxes]
    sizes = [numpy.array(box[2:], numpy.int32) for box in boxes]

    def graph(encoded, start, size):
        return resized(fn.decoders.image_slice(encoded, start=start, shape=size, axes=[1, 0], **decoding(options)), options)

    return (square for square, _ in runs_over(images, options, graph, (starts, sizes)))


def crop_areas(images, options):
    for crop, shape in runs_over(images, options, lambda encoded: random_crops(encoded, options), runs=DRAWS):
        yield crop.shape[0] * crop.shape[1] / (shape[0] * shape[1])


def main():
    parser = options_of(__doc__)
    parser.add_argument("--pixels", choices=("fast", "accurate"), default="fast")
    parser.add_argument("--antialias", action="store_true")
    options = parser.parse_args()
    if options.check:
        bound = (0.6 if options.pixels == "accurate" else 1.5) if options.antialias else 12
        return check(options, lambda images: fixed_crops(images, options), lambda images: crop_areas(images, options), bound)

    running = training(options)
    running.build()
    running.schedule_run()

    def step():
        running.schedule_run()
        running.share_outputs()
        running.release_outputs()

    serve(step, options, DEPTH, peer=f"DALI {nvidia.dali.__version__}", pixels=options.pixels, antialias=options.antialias)
    return 0


if __name__ == "__main__":
    sys.exit(main())
