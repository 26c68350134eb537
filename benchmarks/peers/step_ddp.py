#!/usr/bin/env python3
"""timm's BiT under torchrun with DistributedDataParallel and Gloo, until its first step is done, then `first step` and its end.

Its fastest start: eager, since compiling takes longer than many steps; random images, so that no data is read.
"""
import argparse
import os

import torch
from timm_bit import MODELS, bit_model, sgd
from torch.nn.parallel import DistributedDataParallel


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="R50x1")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8, help="of each rank")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=1, help="of each rank")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.distributed.init_process_group("gloo")
    model = bit_model(options.model, options.classes).train().to(memory_format=torch.channels_last)
    network = DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
    optimizer = sgd(model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(options.batch, 3, options.image_size, options.image_size).to(memory_format=torch.channels_last)
    labels = torch.randint(options.classes, (options.batch,))
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        loss = torch.nn.functional.cross_entropy(network(images).float(), labels)
    loss.backward()
    optimizer.step()
    if os.environ["RANK"] == "0":
        print("first step", flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
