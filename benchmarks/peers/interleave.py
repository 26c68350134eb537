"""What the comparisons share: programs that measure by turns, the ratios of their rates, and tables in Markdown.

Every program is started once and stays. Each repeat asks one after another for a window of measuring and stops the others
(SIGSTOP), so that a noisy machine is noisy for all. Programs of N threads are pinned to N cores. docs/performance.md has the
protocol; peer.py and bit-bench --on-request are its other side.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile


# What a window's answer says of the window; the rest is about the program.
WINDOW = ("images", "seconds", "cpu_seconds", "rss_bytes", "peak_rss_bytes", "threads")


class Program:
    """A process that measures a window when it is asked to, and is stopped in between."""

    def __init__(self, name, command, cores):
        self.name, self.command, self.windows = name, [str(word) for word in command], []
        self.log = tempfile.TemporaryFile("w+")
        pinned = ["taskset", "-c", ",".join(map(str, cores)), *self.command]
        self.process = subprocess.Popen(pinned, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        start_new_session=True)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def fail(self):
        self.log.seek(0)
        sys.exit(f"{self.log.read()[-2000:]}\n{self.name} gave no measurement: {' '.join(self.command)}")

    def window(self, seconds):
        """One window; the answer of the program."""
        try:
            self.signal(signal.SIGCONT)
            self.process.stdin.write(f"go {seconds}\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ProcessLookupError):
            self.fail()
        for line in self.process.stdout:
            if line.startswith("{") and "images" in (answer := json.loads(line)):
                self.signal(signal.SIGSTOP)
                return answer
        return self.fail()

    def measure(self, seconds):
        self.windows.append(self.window(seconds))

    def end(self):
        """Its input ends, and so does it; one that does not is killed."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.process.wait()

    def rates(self):
        return [window["images"] / window["seconds"] for window in self.windows]

    def rate(self):
        return statistics.median(self.rates())

    def summary(self):
        cpu = statistics.median(1000 * window["cpu_seconds"] / window["images"] for window in self.windows)
        about = {key: value for key, value in self.windows[-1].items() if key not in WINDOW}
        return {"images_per_second": self.rate(), "slowest": min(self.rates()), "fastest": max(self.rates()),
                "cpu_seconds_per_1000_images": cpu, "rss_bytes": max(window["rss_bytes"] for window in self.windows),
                "peak_rss_bytes": max(window["peak_rss_bytes"] for window in self.windows), **about, "command": self.command}


@dataclasses.dataclass
class Row:
    """A line of the table: the rate of the best of some programs over that of the best of others."""

    what: str
    ours: list
    rivals: list
    bar: float | None  # none: a number to know, not a claim
    aim: float | None


def measure(commands, options):
    """Runs all of them by turns. `commands`: {name: (command, threads)}. Returns {name: Program}, ended, with its windows."""
    programs = {}
    with contextlib.ExitStack() as stack:  # a stopped program would stay for ever
        for name, (command, threads) in commands.items():
            programs[name] = Program(name, command, options.cores[:threads])
            stack.callback(programs[name].end)
            programs[name].window(options.warm_up)
            print(f"{name}: warm", file=sys.stderr, flush=True)
        for repeat in range(options.repeats):
            for program in programs.values():
                program.measure(options.seconds)
            print(f"repeat {repeat + 1} of {options.repeats}", file=sys.stderr, flush=True)
    return programs


def row_result(row, programs):
    ours, rival = (max(names, key=lambda name: programs[name].rate()) for names in (row.ours, row.rivals))
    pairs = zip(programs[ours].rates(), programs[rival].rates(), strict=True)
    rounds = [mine / theirs for mine, theirs in pairs]
    ratio = programs[ours].rate() / programs[rival].rate()
    return {"measure": row.what, "ours": ours, "rival": rival, "ours_images_per_second": programs[ours].rate(),
            "rival_images_per_second": programs[rival].rate(), "ratio": ratio, "ratio_lowest": min(rounds),
            "ratio_highest": max(rounds), "bar": row.bar, "aim": row.aim, "met": None if row.bar is None else ratio >= row.bar}


def table(heads, lines):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def verdict(result):
    """The cells of a row's bar, aim and whether it is met; empty where there is no bar."""
    if result["bar"] is None:
        return ["", "", ""]
    return [f"{result['bar']:g}", f"{result['aim']:g}", "yes" if result["met"] else "no"]


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@dataclasses.dataclass
class Cpu:
    bf16: bool  # it has instructions for it
    amx: bool  # and for products of whole tiles


def this_cpu():
    words = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    return Cpu(bf16=bool(words & {"amx_bf16", "avx512_bf16", "bf16"}), amx="amx_bf16" in words)


def add_options(parser, repeats, seconds, warm_up, threads):
    parser.add_argument("--bit-bench", default="build/release/bin/bit-bench")
    parser.add_argument("--python", default="build/oracle-venv/bin/python", help="of the peers")
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each window")
    parser.add_argument("--warm-up", type=float, default=warm_up, help="seconds of the first window, which does not count")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--cores", default=",".join(map(str, sorted(os.sched_getaffinity(0)))),
                        help="cores to pin to: programs of N threads to the first N; %(default)s")


def finish_options(parser, options):
    """What was given to add_options, checked; an error of usage ends the run."""
    options.cores = options.cores.split(",")
    if len(options.cores) < options.threads:
        parser.error(f"{options.threads} threads need as many cores; there are {len(options.cores)}")
    if not shutil.which(str(options.bit_bench)):
        parser.error(f"{options.bit_bench} is not there: ./dev build makes it")


def bench_help(options, name):
    return subprocess.run([options.bit_bench, name, "--help"], capture_output=True, text=True, check=True).stdout
