#!/usr/bin/env python3
"""Seconds from the command to the end of the first step: `mpirun bit-launch` beside torchrun with DDP and timm's BiT.

Ours reads indexed shards and decodes them; the peer has random images. Ours ends with the step's line in metrics.jsonl, the
peer with a printed line. By turns; the first turn of each does not count: it fills the page cache and Python's. Prints Markdown,
last of all one JSON object.
"""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from interleave import processor, table, this_cpu

HERE = pathlib.Path(__file__).parent
BAR, AIM = 2.5, 1.5  # seconds
POLL = 0.002  # seconds
LIMIT = 300  # seconds for one start


def mpi_environment():
    """As ./dev: root in a container, and fewer cores than ranks."""
    words = {"OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
    if os.geteuid() == 0:
        words |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if len(os.sched_getaffinity(0)) < 2:
        words["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
    return {**os.environ, **words}


def has_step(path):
    try:
        return '"event":"step"' in path.read_text()
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def started(command, **settings):
    """A process, and when it began; it has to end well."""
    with tempfile.TemporaryFile("w+") as log:
        began = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stderr=log, text=True, **settings)
        try:
            yield process, began
            code = process.wait(LIMIT)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            log.seek(0)
            sys.exit(f"{log.read()[-2000:]}\nended with {code}: {' '.join(process.args)}")


def ours(options, folder):
    """A run of one step."""
    recipe, run = folder / "run.yaml", folder / "run"
    settings = {"output": run, "data.path": options.data, "data.split": options.split,
                "batch": options.ranks * options.batch, "model.name": options.model,
                "model.precision": options.precision, "data.image_size": options.image_size, "schedule.length": "1 steps",
                "schedule.warmup": "0 steps"}
    recipe.write_text(f"output: {run}\n")
    command = ["mpirun", "-n", options.ranks, options.bit_launch, recipe, *(f"{key}={value}" for key, value in settings.items())]
    with started(command, env=mpi_environment(), stdout=subprocess.DEVNULL) as (process, began):
        while not has_step(run / "metrics.jsonl") and process.poll() is None and time.monotonic() - began < LIMIT:
            time.sleep(POLL)
        spent = time.monotonic() - began
    if not has_step(run / "metrics.jsonl"):
        sys.exit(f"no step in {LIMIT} seconds, or no line of it: {' '.join(map(str, command))}")
    return spent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def peer_environment(cache):
    """Modules are compiled once, in the turn that does not count, whatever the environment and the venv say."""
    words = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache)}
    words.pop("PYTHONDONTWRITEBYTECODE", None)
    return words


def peer(options, _):
    command = [options.python, "-m", "torch.distributed.run", "--nproc-per-node", options.ranks, "--master-addr", "127.0.0.1",
               "--master-port", free_port(), HERE / "step_ddp.py", "--model", options.model, "--classes", options.classes,
               "--batch", options.batch, "--image-size", options.image_size, "--precision", options.precision]
    with started(command, env=peer_environment(options.cache), stdout=subprocess.PIPE) as (process, began):
        line = process.stdout.readline()
        spent = time.monotonic() - began
    if line != "first step\n":
        sys.exit(f"the peer said {line!r}")
    return spent


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default="data/clothing-shards",
                        help="directory of a dataset that bit-shard wrote; ./dev quickstart makes %(default)s")
    parser.add_argument("--split", default="train")
    parser.add_argument("--bit-launch", default="build/release/bin/bit-launch")
    parser.add_argument("--python", default="build/oracle-venv/bin/python", help="of the peer")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--model", default="R50x1")
    parser.add_argument("--batch", type=int, default=8, help="of each rank")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16" if this_cpu().bf16 else "fp32",
                        help="%(default)s on this CPU")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    try:
        options.classes = len(json.loads((options.data / "dataset.json").read_text())["class_names"])
    except FileNotFoundError as error:
        parser.error(f"{error.filename} is not there: --data takes what bit-shard wrote")
    return options


def main():
    options = parse_options()
    sides, seconds = {"bit-launch": ours, "torchrun, DDP, timm": peer}, {}
    with tempfile.TemporaryDirectory(prefix="first-step-") as base:
        options.cache = pathlib.Path(base) / "python"
        for turn in range(options.repeats + 1):
            for name, side in sides.items():
                with tempfile.TemporaryDirectory(dir=base) as folder:
                    spent = side(options, pathlib.Path(folder))
                if turn > 0:
                    seconds.setdefault(name, []).append(spent)
                print(f"{name}: {spent:.2f} s", file=sys.stderr, flush=True)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    mine, theirs = medians.values()
    print("\n".join(table(["program", "seconds (fastest to slowest)"], (
        [name, f"{medians[name]:.2f} ({min(found):.2f} to {max(found):.2f})"] for name, found in seconds.items()))))
    print("\n".join(table(["measure", "seconds", "bar, at most", "aim", "met", "peer's seconds"], [
        [f"first step, {options.ranks} ranks, {options.model}, batch {options.batch} a rank, {options.image_size} px, "
         f"{options.precision}", f"{mine:.2f}", f"{BAR:g}", f"{AIM:g}", "yes" if mine <= BAR else "no", f"{theirs:.2f}"]])))
    print(json.dumps({"machine": processor(), "ranks": options.ranks, "model": options.model, "batch": options.batch,
                      "image_size": options.image_size, "precision": options.precision, "seconds": seconds, "medians": medians,
                      "bar": BAR, "aim": AIM, "met": mine <= BAR}))


if __name__ == "__main__":
    main()
