#!/usr/bin/env python3
"""Our training step and timm's in one interleaved run: how much faster, and beside its convolutions alone; and the memory.

For each network, batch and size: `bit-bench step` in each precision, timm's BiT in every configuration (precision, eager or
compiled, channels-last or not), and the network's convolutions alone as autograd runs them. Everybody is offered the same
allocators: glibc's, and jemalloc with transparent huge pages where it is installed. The best median of a side counts. Programs
measure by turns, as interleave.py says; the memory is measured before, one program at a time. bf16 is left out where the
CPU has no instructions for it, unless --all is given. Prints Markdown, last of all one JSON object.
"""
import argparse
import ctypes.util
import dataclasses
import json
import os
import pathlib
import re
import signal
import sys

import interleave
from interleave import Program, Row, add_options, measure, processor, row_result, table, this_cpu, verdict

HERE = pathlib.Path(__file__).parent
TIMM = {"eager": ["--no-compile", "--contiguous"], "eager-channels-last": ["--no-compile"], "compiled": ["--contiguous"],
        "compiled-channels-last": []}
JEMALLOC = "thp:always,metadata_thp:auto,background_thread:true,dirty_decay_ms:-1,muzzy_decay_ms:-1"
# (bar, aim) of the rows of each setting that has them.
BARS = {"R50x1:16:128": {"bf16 with AMX": (2.3, 3.5), "best without AMX": (1.4, 2), "bf16 convolutions": (1, 1.4),
                         "fp32": (1.5, 1.9), "memory": (0.7, 0.5)},
        "R50x1:8:224": {"bf16 with AMX": (2, 3)}, "R26x1:64:64": {"bf16 with AMX": (2, 3)}}


class Comparison:
    """The programs of one setting, and the rows they give."""

    def __init__(self, setting, options, cpu):
        self.setting, self.options, self.cpu, self.commands, self.rows = setting, options, cpu, {}, []
        self.model, batch, size = setting.split(":")
        self.what = f"{self.model}, batch {batch}, {size} px"
        self.common = ["--model", self.model, "--classes", options.classes, "--batch", batch, "--image-size", size,
                       "--threads", options.threads]
        self.plan()

    def bit_bench(self, precision):
        return [self.options.bit_bench, "step", *self.common, "--precision", precision, "--on-request"]

    def peer(self, script, precision, *settings):
        return [self.options.python, HERE / script, *self.common, "--precision", precision, *settings, "--on-request"]

    def offered(self, name, command):
        """The names of one program with each allocator."""
        names = []
        for allocator, words in self.options.environments.items():
            names.append(f"{name} {allocator}".strip())
            self.commands[names[-1]] = ([*words, *command], self.options.threads)
        return names

    def row(self, what, ours, rivals, bar=None):
        bars = BARS.get(self.setting, {}).get(bar, (None, None))
        if ours and rivals:
            self.rows.append(Row(f"{self.what}: {what}", ours, rivals, *bars))

    def plan(self):
        options, ours, timm, alone = self.options, {}, {}, {}
        for precision in options.precisions:
            ours[precision] = self.offered(f"bit-bench step {precision}", self.bit_bench(precision))
            if precision == "auto":
                continue
            timm[precision] = [name for one in options.timm for name in self.offered(
                f"timm {precision} {one}", self.peer("step_timm.py", precision, *TIMM[one]))]
            alone[precision] = self.offered(f"convolutions {precision}", self.peer("step_convolutions.py", precision))
        for precision in timm:
            self.row(f"{precision}, against timm's best {precision}", ours[precision], timm[precision],
                     "fp32" if precision == "fp32" else "bf16 with AMX" if self.cpu.amx else None)
        self.row("best precision, against timm's best of any", sum(ours.values(), []), sum(timm.values(), []),
                 None if self.cpu.amx else "best without AMX")
        for precision in alone:
            self.row(f"{precision}, against autograd's convolutions alone in {precision}", ours[precision], alone[precision],
                     f"{precision} convolutions")


def peak_memory(name, command, options):
    """Of a program after its warm-up and a step."""
    program = Program(name, command, options.cores[:options.threads])
    try:
        peak = program.window(0.01)["peak_rss_bytes"]
    finally:
        program.end()
    print(f"{name}: peak memory {peak / 1e6:,.0f} MB", file=sys.stderr, flush=True)
    return peak


def memory_results(comparison):
    """Ours beside timm's eager configurations in the same precision; both as they are started, without another allocator."""
    options, results = comparison.options, []
    for precision in ("bf16", "fp32"):
        ours = f"bit-bench step {precision}"
        peak = peak_memory(ours, comparison.bit_bench(precision), options)
        rivals = {name: peak_memory(f"timm {precision} {name}", comparison.peer("step_timm.py", precision, *TIMM[name]), options)
                  for name in ("eager", "eager-channels-last")}
        best = min(rivals, key=rivals.get)
        bar, aim = BARS.get(comparison.setting, {}).get("memory", (None, None)) if precision == "bf16" else (None, None)
        ratio = peak / rivals[best]
        results.append({"measure": f"{comparison.what}: peak memory in {precision}, against timm eager", "ours": ours,
                        "rival": f"timm {precision} {best}", "ours_bytes": peak, "rival_bytes": rivals[best], "ratio": ratio,
                        "bar": bar, "aim": aim, "met": None if bar is None else ratio <= bar})
    return results


def markdown(rows, memory, programs):
    yield from table(["measure", "ours", "images/s", "rival", "images/s", "ratio (lowest to highest round)", "bar", "aim", "met"], (
        [row["measure"], row["ours"], f"{row['ours_images_per_second']:,.1f}", row["rival"],
         f"{row['rival_images_per_second']:,.1f}", f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})",
         *verdict(row)] for row in rows))
    if memory:
        yield from table(["measure", "ours, MB", "rival", "MB", "ratio", "bar, at most", "aim", "met"], (
            [row["measure"], f"{row['ours_bytes'] / 1e6:,.0f}", row["rival"], f"{row['rival_bytes'] / 1e6:,.0f}",
             f"{row['ratio']:.2f}", *verdict(row)] for row in memory))
    yield from table(["setting", "program", "images/s (slowest to fastest)", "CPU seconds per 1,000 images", "peak RSS, MB"], (
        [setting, name, f"{one['images_per_second']:,.1f} ({one['slowest']:,.1f} to {one['fastest']:,.1f})",
         f"{one['cpu_seconds_per_1000_images']:.1f}", f"{one['peak_rss_bytes'] / 1e6:,.0f}"]
        for setting, found in programs.items() for name, one in found.items()))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default=",".join(BARS), help="NETWORK:BATCH:PIXELS, separated by commas; %(default)s")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--precisions", default="fp32,bf16",
                        help="separated by commas; auto is measured for ours alone; %(default)s")
    parser.add_argument("--timm", default=",".join(TIMM), help="its configurations, separated by commas; %(default)s")
    parser.add_argument("--allocators", default="glibc,jemalloc", help="separated by commas; %(default)s")
    parser.add_argument("--jemalloc", default=ctypes.util.find_library("jemalloc"), help="the library; %(default)s")
    parser.add_argument("--all", action="store_true", help="bf16 even where the CPU has no instructions for it")
    parser.add_argument("--no-amx", action="store_true",
                        help="oneDNN does without AMX for everybody, as on a CPU that has none but bf16 in AVX-512")
    parser.add_argument("--no-memory", action="store_true", help="leave out the rows of memory")
    add_options(parser, repeats=7, seconds=10, warm_up=1, threads=2)
    return finish_options(parser, parser.parse_args())


def finish_options(parser, options):
    interleave.finish_options(parser, options)
    known = {"precisions": ("fp32", "bf16", "auto"), "timm": tuple(TIMM), "allocators": ("glibc", "jemalloc")}
    for name, words in known.items():
        given = getattr(options, name).split(",")
        for word in given:
            if word not in words:
                parser.error(f"--{name} knows no {word}; there are {', '.join(words)}")
        setattr(options, name, given)
    options.settings = options.settings.split(",")
    for setting in options.settings:
        if not re.fullmatch(r"[^:]+:[1-9]\d*:[1-9]\d*", setting):
            parser.error(f"{setting} is not NETWORK:BATCH:PIXELS such as R50x1:16:128")
    if "jemalloc" in options.allocators and not options.jemalloc:
        print("jemalloc is not installed (Debian: libjemalloc2), so nobody is offered it", file=sys.stderr)
        options.allocators = [name for name in options.allocators if name != "jemalloc"] or ["glibc"]
    words = {"glibc": ("", []), "jemalloc": ("jemalloc", ["env", f"LD_PRELOAD={options.jemalloc}", f"MALLOC_CONF={JEMALLOC}"])}
    options.environments = dict(words[name] for name in options.allocators)
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the programs too
    options = parse_options()
    cpu = this_cpu()
    if options.no_amx:
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_BF16"
        cpu = dataclasses.replace(cpu, amx=False)
    if "bf16" in options.precisions and not cpu.bf16 and not options.all:
        print("this CPU has no bf16 instructions: bf16 is left out (--all measures it)", file=sys.stderr)
        options.precisions = [name for name in options.precisions if name != "bf16"]
    rows, memory, programs = [], [], {}
    for setting in options.settings:
        comparison = Comparison(setting, options, cpu)
        if not options.no_memory:
            memory += memory_results(comparison)
        measured = measure(comparison.commands, options)
        rows += [row_result(row, measured) for row in comparison.rows]
        programs[setting] = {name: program.summary() for name, program in measured.items()}
    print("\n".join(markdown(rows, memory, programs)))
    print(json.dumps({"machine": processor(), **dataclasses.asdict(cpu), "threads": options.threads, "classes": options.classes,
                      "repeats": options.repeats, "seconds": options.seconds, "jemalloc": JEMALLOC, "rows": rows,
                      "memory": memory, "programs": programs}))


if __name__ == "__main__":
    main()
