#!/usr/bin/env python3
"""timm's BiT doing what `bit-bench step` does: forward, softmax loss, backward, SGD with momentum, on the CPU.

Its fastest settings: torch.compile, bf16 autocast, channels-last, fused foreach SGD. --no-compile shows the eager rate.
"""
import argparse

import timm
import torch
from measure import images_per_second, report

# Ours: timm's name of the same network.
MODELS = {"R50x1": "resnetv2_50x1_bit", "R50x3": "resnetv2_50x3_bit", "R101x1": "resnetv2_101x1_bit",
          "R101x3": "resnetv2_101x3_bit", "R152x2": "resnetv2_152x2_bit", "R152x4": "resnetv2_152x4_bit"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="R50x1")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model = timm.create_model(MODELS[options.model], num_classes=options.classes, pretrained=False).train()
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, foreach=True)
    images = torch.randn(options.batch, 3, options.image_size, options.image_size).to(memory_format=torch.channels_last)
    labels = torch.randint(options.classes, (options.batch,))
    network = model if options.no_compile else torch.compile(model)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(network(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    rate = images_per_second(step, options.batch, options.seconds, window=5.0)
    report(peer="timm", model=options.model, precision=options.precision, compiled=not options.no_compile,
           threads=options.threads, batch=options.batch, image_size=options.image_size, images_per_second=rate)


if __name__ == "__main__":
    main()
