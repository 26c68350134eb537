"""What the peers of `bit-bench step` share: their options, and measuring alone or on request."""
import argparse

import torch
from measure import images_per_second, report
from peer import serve
from timm_bit import MODELS


def step_options(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--model", choices=MODELS, default="R50x1")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--on-request", action="store_true", help="measure a window for each line 'go SECONDS' of standard input")
    return parser


def run(step, options, **settings):
    """`step()` handles options.batch images."""
    settings = {"torch": torch.__version__, "precision": options.precision, **settings}
    if options.on_request:
        serve(step, options, 0, **settings)
        return
    rate = images_per_second(step, options.batch, options.seconds, window=5.0)
    report(**settings, model=options.model, threads=options.threads, batch=options.batch, image_size=options.image_size,
           images_per_second=rate)
