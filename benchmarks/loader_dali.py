#!/usr/bin/env python3
"""DALI on the CPU doing what `bit-bench loader` does: TFRecord, random crop and resize, flip, uint8 NHWC batches.

Its fastest settings: the fused partial decode, an asynchronous pipeline, outputs taken without a copy. --pixels fast adds the
fast inverse DCT and plain chroma upsampling, which change pixels; --pixels accurate decodes as libjpeg-turbo's default does.
"""
import argparse
import pathlib

from measure import images_per_second, report
from nvidia.dali import fn, pipeline_def, tfrecord, types


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--crop-area-min", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pixels", choices=("fast", "accurate"), default="fast")
    options = parser.parse_args()
    fast = options.pixels == "fast"
    shards = sorted(str(p) for p in options.data.glob(f"*-{options.split}.tfrecord-*") if p.suffix != ".idx")
    if not shards:
        parser.error(f"{options.data} has no shards of the split {options.split}")

    @pipeline_def(batch_size=options.batch, num_threads=options.threads, device_id=None, prefetch_queue_depth=2, seed=1)
    def pipeline():
        features = {"image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
                    "image/class/label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1)}
        read = fn.readers.tfrecord(path=shards, index_path=[s + ".idx" for s in shards], features=features,
                                   random_shuffle=True, initial_fill=4096, prefetch_queue_depth=2, name="reader")
        images = fn.decoders.image_random_crop(
            read["image/encoded"], device="cpu", output_type=types.RGB, random_area=[options.crop_area_min, 1.0],
            random_aspect_ratio=[0.75, 4 / 3], use_fast_idct=fast, jpeg_fancy_upsampling=not fast, adjust_orientation=False)
        images = fn.resize(images, size=[options.image_size, options.image_size], interp_type=types.INTERP_LINEAR,
                           antialias=True)
        return fn.flip(images, horizontal=fn.random.coin_flip()), read["image/class/label"]

    running = pipeline()
    running.build()
    running.schedule_run()

    def step():
        running.schedule_run()
        running.share_outputs()
        running.release_outputs()

    rate = images_per_second(step, options.batch, options.seconds)
    report(peer="DALI", pixels=options.pixels, threads=options.threads, batch=options.batch,
           image_size=options.image_size, images_per_second=rate)


if __name__ == "__main__":
    main()
