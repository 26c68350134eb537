#!/usr/bin/env python3
"""A recipe of this project in plain PyTorch: timm's network, torchvision's crop, torch's SGD, the same shards.

    cifar10_pytorch.py --data SHARDS --recipe benchmarks/cifar10-r26x1.yaml --seed 0 --precision fp32 [NAME=VALUE ...]

Whatever the recipe leaves to defaults is taken from `bit-launch --print-config`. Small images only: all are decoded into memory.
Initial weights have the distribution of ours (He et al. with fan-out, zeros in the head), not the same numbers; nor are the order
and the crops the same. Prints a line each epoch, last of all one JSON object with the test accuracy.
"""
import argparse
import io
import json
import math
import pathlib
import re
import subprocess
import sys
import time

import numpy
import torch
import yaml
from PIL import Image
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

sys.path.append(str(pathlib.Path(__file__).parent / "peers"))
from tfrecord import examples, split_shards, values
from timm_bit import bit_model, sgd, standardised

WEIGHT_EPSILON = 1e-10  # of weight standardisation in google-research/big_transfer; timm has 1e-8
KNOWN = {("data", "crop"): "inception", ("data", "antialias"): True, ("evaluate", "crop"): "none", ("model", "loss"): "softmax",
         ("optimizer", "accumulate"): 1}


def resolved(options):
    """Every setting of the recipe, defaults included."""
    command = [options.bit_launch, str(options.recipe), "--print-config", f"data.path={options.data}", f"seed={options.seed}",
               f"model.precision={options.precision}", *options.overrides]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    recipe = yaml.safe_load(done.stdout)
    for (part, name), value in KNOWN.items():
        if recipe[part][name] != value:
            sys.exit(f"{options.recipe}: {part}.{name} is {recipe[part][name]}; here it can only be {value}")
    return recipe


def steps_of(length, epoch):
    """Steps of "10ep", "200 steps" or a plain number; `epoch` is the number of steps in one."""
    amount, unit = re.fullmatch(r"([0-9.]*) *([a-z]*)", str(length)).groups()
    if unit not in ("", "ep", "epoch", "epochs", "step", "steps"):
        sys.exit(f"{length} is not a number of steps or epochs")
    return round(float(amount) * (epoch if unit.startswith("ep") else 1))


def load(directory, split, size):
    """Every image of a split as uint8 [N, 3, size, size], and its label from 0."""
    images, labels = [], []
    for example in examples(split_shards(directory, split)):
        image = Image.open(io.BytesIO(values(example, b"image/encoded")[0])).convert("RGB")
        if image.size != (size, size):
            sys.exit(f"{directory}: an image of {image.width} x {image.height}; this script takes images of {size} pixels a side")
        images.append(torch.from_numpy(numpy.array(image)).permute(2, 0, 1))
        labels.append(values(example, b"image/class/label")[0] - 1)
    return torch.stack(images), torch.tensor(labels)


def normalised(images):
    return ((images.float() - 127.5) / 127.5).contiguous(memory_format=torch.channels_last)


class Augmentation:
    """Ours: a box of random area and aspect, antialiased bilinear in bytes, and a mirror."""

    def __init__(self, data):
        self.size, self.flip = data["image_size"], data["flip"]
        self.crop = RandomResizedCrop(self.size, scale=(data["crop_area_min"], data["crop_area_max"]),
                                      ratio=(data["crop_aspect_min"], data["crop_aspect_max"]), antialias=True)

    def __call__(self, image):
        box = self.crop.make_params([image])
        image = F.resized_crop(image, box["top"], box["left"], box["height"], box["width"], [self.size, self.size],
                               antialias=True)
        return image.flip(2) if self.flip and torch.rand(()) < 0.5 else image


class Schedule:
    """Linear warm-up from 0, then a factor after each drop: trainer/schedule.h."""

    def __init__(self, recipe, epoch):
        schedule = recipe["schedule"]
        self.peak, self.factor = float(recipe["optimizer"]["learning_rate"]), float(schedule["drop_factor"])
        self.steps, self.warmup = steps_of(schedule["length"], epoch), steps_of(schedule["warmup"], epoch)
        self.drops = [steps_of(drop, epoch) for drop in schedule["drops"]]

    def rate(self, step):
        if step < self.warmup:
            return self.peak * step / self.warmup
        return self.peak * self.factor ** sum(drop < step for drop in self.drops)


def build(recipe, classes):
    model = bit_model(recipe["model"]["name"], classes).train().to(memory_format=torch.channels_last)
    for layer in standardised(model):
        layer.eps = WEIGHT_EPSILON
    torch.nn.init.zeros_(model.head.fc.weight)
    torch.nn.init.constant_(model.head.fc.bias, float(recipe["model"]["head_bias"]))
    kernels = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    optimizer = sgd([{"params": kernels, "weight_decay": float(recipe["optimizer"]["weight_decay"])}, {"params": others}], lr=0.0,
                    momentum=float(recipe["optimizer"]["momentum"]))
    return model, optimizer


def accuracy(model, images, labels, batch, autocast):
    """Top-1 over every image once."""
    right = 0
    with torch.inference_mode(), autocast():
        for some, wanted in zip(images.split(batch), labels.split(batch), strict=True):
            right += int((model(normalised(some)).float().argmax(1) == wanted).sum())
    return right / len(labels)


def train(options, recipe):
    images, labels = load(options.data, recipe["data"]["split"], recipe["data"]["image_size"])
    classes = len(json.loads((options.data / "dataset.json").read_text())["class_names"])
    batch, augment = recipe["batch"], Augmentation(recipe["data"])
    epoch = len(images) // batch  # the tail is left out, another one each epoch
    schedule = Schedule(recipe, epoch)
    model, optimizer = build(recipe, classes)
    network = torch.compile(model) if options.compile else model
    began, step, order = time.monotonic(), 0, []

    def autocast():
        return torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")

    while step < schedule.steps:
        if step % epoch == 0:
            order = torch.randperm(len(images))[:epoch * batch].split(batch)
        chosen = order[step % epoch]
        with autocast():
            logits = network(normalised(torch.stack([augment(image) for image in images[chosen]])))
            loss = torch.nn.functional.cross_entropy(logits.float(), labels[chosen])
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % epoch == 0 or step == schedule.steps:
            print(f"epoch {step / epoch:.2f} of {schedule.steps / epoch:.2f}, loss {loss.item():.4f}, "
                  f"{step * batch / (time.monotonic() - began):.1f} images/s", file=sys.stderr, flush=True)
        if not math.isfinite(loss.item()):
            sys.exit(f"the loss of step {step} is not finite")
    seconds = time.monotonic() - began
    tested, wanted = load(options.data, recipe["evaluate"]["split"], recipe["data"]["image_size"])
    return {"steps": step, "top1": accuracy(model.eval(), tested, wanted, batch, autocast), "records": len(wanted),
            "train_seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="directory that bit-shard wrote")
    parser.add_argument("--recipe", type=pathlib.Path, default="benchmarks/cifar10-r26x1.yaml")
    parser.add_argument("--bit-launch", default="build/release/bin/bit-launch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("overrides", nargs="*", help="settings of the recipe, as bit-launch takes them")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    result = train(options, resolved(options))
    print(json.dumps({"side": "pytorch", "precision": options.precision, "seed": options.seed, **result}), flush=True)


if __name__ == "__main__":
    main()
