#!/usr/bin/env python3
"""Test accuracy of a recipe here and in plain PyTorch, over seeds, in fp32 and bf16: do they agree?

    cifar10_compare.py --data SHARDS --results FILE.jsonl [NAME=VALUE ...]

Each training is appended to FILE as one line when it is done, and is not repeated: stopped, the same command goes on, and parts
(--sides, --seeds, --precisions) may be run one after another. Lines of another recipe or other settings are not counted. Ours
also goes on within a training, from its newest checkpoint. Prints Markdown and, last of all, one JSON object.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE / "peers"))
from interleave import processor, table

SIDES = ("ours", "pytorch")
BAR = 0.007  # of test accuracy, between the means of both sides


def recipe_name(options):
    """Equal for equal recipes with equal settings, data aside."""
    text = options.recipe.read_bytes() + b"\0" + json.dumps(sorted(options.overrides)).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def last_evaluation(path):
    """Of a finished run."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    if events[-1]["event"] != "done":
        sys.exit(f"{path} does not end with a finished run")
    return [event for event in events if event["event"] == "eval"][-1]


def run(command, **settings):
    """What a program printed; its failure ends the comparison, which may be started again."""
    command = [str(word) for word in command]
    done = subprocess.run(command, text=True, **settings)
    if done.returncode != 0:
        sys.exit(f"ended with {done.returncode}: {' '.join(command)}")
    return done.stdout


def train_ours(options, seed, precision):
    folder = options.runs / f"{recipe_name(options)}-{precision}-{seed}"
    command = [options.bit_launch, options.recipe, *options.overrides, f"output={folder}", f"data.path={options.data}",
               f"seed={seed}", f"model.precision={precision}", f"threads={options.threads}", "oversubscribe=true"]
    began = time.monotonic()
    run(command, stdout=sys.stderr)
    found = last_evaluation(folder / "metrics.jsonl")
    if not options.keep:
        shutil.rmtree(folder)
    return {"steps": found["step"], "top1": found["top1"], "records": found["records"], "train_seconds": time.monotonic() - began}


def train_pytorch(options, seed, precision):
    command = [options.python, HERE / "cifar10_pytorch.py", "--data", options.data, "--recipe", options.recipe, "--bit-launch",
               options.bit_launch, "--seed", seed, "--precision", precision, "--threads", options.threads,
               *(["--compile"] if options.compile else []), *options.overrides]
    return json.loads(run(command, stdout=subprocess.PIPE).splitlines()[-1])


def read_results(options):
    """{(side, precision, seed): line} of this recipe."""
    if not options.results.exists():
        return {}
    lines = [json.loads(line) for line in options.results.read_text().splitlines()]
    return {(line["side"], line["precision"], line["seed"]): line for line in lines if line["recipe"] == recipe_name(options)}


def append_result(options, line):
    with options.results.open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def run_missing(options):
    trainings = {"ours": train_ours, "pytorch": train_pytorch}
    for seed in options.seeds:
        for precision in options.precisions:
            for side in options.sides:
                if (side, precision, seed) in read_results(options):
                    continue
                print(f"{side}, {precision}, seed {seed}", file=sys.stderr, flush=True)
                result = trainings[side](options, seed, precision)
                append_result(options, {**result, "side": side, "precision": precision, "seed": seed,
                                        "recipe": recipe_name(options), "machine": processor()})


def accuracies(results, side, precision):
    return {seed: line["top1"] for (one, other, seed), line in sorted(results.items()) if (one, other) == (side, precision)}


def difference(results, precision):
    """The row of a precision; None while a side has no result."""
    found = {side: accuracies(results, side, precision) for side in SIDES}
    if not all(found.values()):
        return None
    means = {side: statistics.mean(values.values()) for side, values in found.items()}
    apart = means["ours"] - means["pytorch"]
    return {"precision": precision, "seeds": {side: list(values) for side, values in found.items()}, "top1": found, "means": means,
            "difference": apart, "bar": BAR, "met": abs(apart) <= BAR}


def percent(value):
    return f"{100 * value:.2f}"


def markdown(results, rows):
    yield from table(["side", "precision", "seed", "test top-1, %", "seconds"], (
        [side, precision, str(seed), percent(line["top1"]), f"{line['train_seconds']:.0f}"]
        for (side, precision, seed), line in sorted(results.items())))
    yield from table(["precision", "ours, mean %", "PyTorch, mean %", "difference, points", "bar", "met"], (
        [row["precision"], f"{percent(row['means']['ours'])} ({len(row['seeds']['ours'])} seeds)",
         f"{percent(row['means']['pytorch'])} ({len(row['seeds']['pytorch'])} seeds)", f"{100 * row['difference']:+.2f}",
         f"{100 * BAR:g}", "yes" if row["met"] else "no"] for row in rows))


def listed(words, kind=str):
    return [kind(word) for word in words.split(",")]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="directory that bit-shard wrote")
    parser.add_argument("--results", type=pathlib.Path, required=True, help="JSON lines; made if it is not there")
    parser.add_argument("--recipe", type=pathlib.Path, default="benchmarks/cifar10-r26x1.yaml")
    parser.add_argument("--runs", type=pathlib.Path, default="runs/cifar10-compare", help="for runs of ours; %(default)s")
    parser.add_argument("--keep", action="store_true", help="keep the run directories")
    parser.add_argument("--sides", type=listed, default=",".join(SIDES))
    parser.add_argument("--seeds", type=lambda words: listed(words, int), default="0,1,2")
    parser.add_argument("--precisions", type=listed, default="fp32,bf16",
                        help="bf16 is slow where the CPU has no instructions for it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile in the peer")
    parser.add_argument("--bit-launch", default="build/release/bin/bit-launch")
    parser.add_argument("--python", default="build/oracle-venv/bin/python", help="of the peer")
    parser.add_argument("overrides", nargs="*", help="settings of the recipe for both sides, as bit-launch takes them")
    options = parser.parse_args()
    for side in options.sides:
        if side not in SIDES:
            parser.error(f"there is no side {side}; there are {', '.join(SIDES)}")
    return options


def main():
    options = parse_options()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    run_missing(options)
    results = read_results(options)
    rows = [row for precision in options.precisions if (row := difference(results, precision))]
    print("\n".join(markdown(results, rows)))
    print(json.dumps({"recipe": str(options.recipe), "overrides": options.overrides, "rows": rows}))


if __name__ == "__main__":
    main()
