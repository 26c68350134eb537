#!/usr/bin/env python3
"""Runs what README.md tells people to type on one machine, block after block, in a folder of its own.

    docs_run_test.py ROOT PROGRAMS

Left out are blocks that set up or build (./dev) and those of a cluster's paths (/data, /shared): docs_test.py checks that
what they name exists. Training is shortened by settings that are appended to what was typed.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
ELSEWHERE = re.compile(r"^\./dev|\s/(data|shared)/", re.M)
# As tests/integration/run_support.cpp: root in a container, fewer cores than ranks.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
       "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
       "OMPI_MCA_hwloc_base_binding_policy": "none"}
SHORT = ["schedule.length=2 steps", "schedule.warmup=1 steps", "schedule.drops=[]", "data.image_size=32", "evaluate.resize=36",
         "model.name=R26x0.5"]


def blocks(text):
    """(line number, text) of every block that runs on one machine."""
    for block in BLOCK.finditer(text):
        if not ELSEWHERE.search(block.group(1)):
            yield text[: block.start(1)].count("\n") + 1, block.group(1)


def write_short_launcher(folder, launcher):
    folder.mkdir()
    script = folder / "bit-launch"
    short = " ".join(f"'{setting}'" for setting in SHORT)
    script.write_text(f'#!/bin/sh\nexec "{launcher}" "$@" {short}\n')
    script.chmod(0o755)


def main():
    root, programs = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="bit-docs-") as name:
        work = pathlib.Path(name)
        write_short_launcher(work / "bin", programs / "bit-launch")
        for shared in ("configs", "examples"):
            (work / shared).symlink_to(root / shared)
        environment = {**os.environ, **MPI, "PATH": f"{work}/bin:{programs}:{os.environ['PATH']}"}
        count = 0
        for line, block in blocks((root / "README.md").read_text()):
            count += 1
            print(f"README.md:{line}\n{block}", flush=True)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=work, env=environment, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                print(f"{done.stdout}README.md:{line}: exit code {done.returncode}")
                return 1
        assert count >= 3, f"only {count} blocks found: is the document there?"
        assert (work / "weights.safetensors").exists(), "the last block exports weights"
    print(f"{count} blocks ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
