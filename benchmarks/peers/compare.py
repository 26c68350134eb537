#!/usr/bin/env python3
"""Our loader and its peers in one interleaved run: what is faster, by how much, and with which pixels.

Programs measure by turns, as interleave.py says. Before speed comes the check: a peer whose pixels or crops are not what its
settings explain ends the run. Prints Markdown, last of all one JSON object.
"""
import argparse
import json
import pathlib
import signal
import subprocess
import sys

import interleave
from interleave import Row, add_options, bench_help, measure, processor, row_result, table, verdict

HERE = pathlib.Path(__file__).parent
# Peer: its script and the settings of it.
PEERS = {
    "dali-antialias": ("loader_dali.py", ["--pixels", "fast", "--antialias"]),
    "dali-accurate": ("loader_dali.py", ["--pixels", "accurate", "--antialias"]),
    "dali-plain": ("loader_dali.py", ["--pixels", "fast"]),
    "tfdata-antialias": ("loader_tfdata.py", ["--pixels", "fast", "--antialias"]),
    "tfdata-plain": ("loader_tfdata.py", ["--pixels", "fast"]),
    "torchvision": ("loader_torchvision.py", ["--decoder", "torchvision"]),
    "pillow": ("loader_torchvision.py", ["--decoder", "pillow"]),
}
ANTIALIASED = ("dali-antialias", "dali-accurate", "tfdata-antialias", "torchvision", "pillow")
NARROW = ["--simd", "avx2"]  # of bit-bench: wider vectors are not used
LARGE_BATCH = 16  # of 12 and 40-megapixel photographs, so that a window holds some batches
CHECK_SECONDS = 600  # at most


class Comparison:
    """Which programs run, and which rows they give."""

    def __init__(self, options):
        self.options, self.commands, self.rows = options, {}, []
        self.loader_help = bench_help(options, "loader")
        self.tracks = [track for track in ("data", "prepared") if getattr(options, track)]

    def common(self, data, threads, batch=None):
        return ["--data", data, "--split", self.options.split, "--threads", threads, "--image-size", 224, "--crop-area-min", 0.08,
                *(["--batch", batch] if batch else [])]

    def ours(self, track, threads=None, program="loader", extra=(), batch=128):
        """The name of ours on a dataset; it runs."""
        threads = threads or self.options.threads
        name = " ".join(["bit-bench", program, f"({track})", f"x{threads}", *extra])
        common = self.common(getattr(self.options, track), threads, batch if program == "loader" else None)
        command = [self.options.bit_bench, program, *common, *extra]
        self.commands[name] = ([*command, "--on-request"], threads)
        return name

    def peers(self, wanted, tracks, batch=128):
        """The names of peers on datasets; those that were not asked for are left out."""
        names = []
        for peer in wanted:
            if peer not in self.options.peers:
                continue
            script, settings = PEERS[peer]
            for track in tracks:
                name = f"{peer} ({track})"
                common = self.common(getattr(self.options, track), self.options.threads, batch)
                self.commands[name] = ([self.options.python, HERE / script, *common, *settings], self.options.threads)
                names.append(name)
        return names

    def ffcv(self):
        name = "ffcv (lossy)"
        common = self.common(self.options.lossy, self.options.threads, 128)
        self.commands[name] = ([self.options.ffcv_python, HERE / "loader_ffcv.py", *common, "--beton", self.options.beton],
                               self.options.threads)
        return name

    def row(self, what, ours, rivals, bar, aim):
        if rivals:
            self.rows.append(Row(what, [ours], rivals, bar, aim))

    def plan(self):
        options = self.options
        if options.data:
            self.row("files as they are, against the best antialiased peer", self.ours("data"), self.peers(ANTIALIASED, ["data"]),
                     1.75, 2.2)
        if options.prepared:
            self.plan_prepared()
        if options.lossy and options.beton:
            self.row("opt-in quality 90, at most 512 px, against FFCV", self.ours("lossy"), [self.ffcv()], 3, 4)
        if options.photos and options.photos_prepared:
            dali = [peer for peer in PEERS if peer.startswith("dali")]
            self.row("12-megapixel photographs, prepared, against DALI", self.ours("photos_prepared", batch=LARGE_BATCH),
                     self.peers(dali, ["photos", "photos_prepared"], LARGE_BATCH), 3, 6)

    def plan_prepared(self):
        ours, threads = self.ours("prepared"), self.options.threads
        antialiased = self.peers(ANTIALIASED, self.tracks)
        self.row("prepared losslessly, against the best antialiased peer", ours, antialiased, 3.3, 4.5)
        self.row("prepared losslessly, against the fastest peer of any quality", ours, self.peers(PEERS, self.tracks), 2.8, 3.8)
        if NARROW[0] in self.loader_help:
            self.row("prepared, AVX2 only, against the best antialiased peer", self.ours("prepared", extra=NARROW), antialiased,
                     2.6, 3.5)
        if "--on-request" in bench_help(self.options, "decode"):
            self.row("whole loader, against decoding and resizing in a bare loop", ours,
                     [self.ours("prepared", program="decode")], 0.93, 0.97)
        if len(self.options.cores) >= 2 * threads:
            self.row(f"{2 * threads} threads, against {threads}", self.ours("prepared", threads=2 * threads), [ours], 1.9, 1.98)

    def outlier_programs(self):
        """Ours without, with and on nothing but the 40-megapixel image; two threads where there are two cores."""
        if not (self.options.thousand and self.options.outlier and self.options.outlier_alone):
            return []
        threads = min(2, len(self.options.cores))
        return [self.ours("thousand", threads), self.ours("outlier", threads),
                self.ours("outlier_alone", threads, batch=LARGE_BATCH)]


def check_peers(comparison):
    """Each peer's pixels and crops against Pillow's, on one of its datasets, before anything is timed."""
    found, seen = {}, set()
    for name, (command, _) in comparison.commands.items():
        peer = name.split()[0]
        if peer == "bit-bench" or peer in seen:
            continue
        seen.add(peer)
        done = subprocess.run([*map(str, command), "--check"], capture_output=True, text=True, timeout=CHECK_SECONDS)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            sys.exit(f"{done.stderr[-2000:]}\n{name} could not be checked")
        found[name] = json.loads(lines[-1])
        print(f"{name}: checked", file=sys.stderr, flush=True)
    return found


def outlier_result(names, programs):
    """A thousand images and the outlier may take as long as they do apart."""
    without, measured, alone = (programs[name] for name in names)
    expected = [1001 / (1000 / a + 1 / b) for a, b in zip(without.rates(), alone.rates(), strict=True)]
    rounds = [rate / bound for rate, bound in zip(measured.rates(), expected, strict=True)]
    bound = 1001 / (1000 / without.rate() + 1 / alone.rate())
    return {"measure": "one 40-megapixel image in 1,001, against its own decode time", "ours": names[1], "rival": "the sum of both",
            "ours_images_per_second": measured.rate(), "rival_images_per_second": bound, "ratio": measured.rate() / bound,
            "ratio_lowest": min(rounds), "ratio_highest": max(rounds), "bar": 1.0, "aim": 1.0, "met": measured.rate() >= bound}


def markdown(rows, programs, checks):
    yield from table(["measure", "ours, images/s", "rival", "images/s", "ratio (lowest to highest round)", "bar", "aim", "met"], (
        [row["measure"], f"{row['ours_images_per_second']:,.0f}", row["rival"], f"{row['rival_images_per_second']:,.0f}",
         f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})", *verdict(row)] for row in rows))
    yield from table(["program", "is", "pixels", "images/s (slowest to fastest)", "CPU seconds per 1,000 images", "RSS, MB"], (
        [name, str(one.get("peer", "ours")), f"{one.get('pixels', 'accurate')}, "
         + {True: "antialiased", False: "not antialiased"}.get(one.get("antialias", True), str(one.get("antialias"))),
         f"{one['images_per_second']:,.0f} ({one['slowest']:,.0f} to {one['fastest']:,.0f})",
         f"{one['cpu_seconds_per_1000_images']:.2f}", f"{one['rss_bytes'] / 1e6:,.0f}"] for name, one in programs.items()))
    yield from table(["peer", "mean difference from Pillow, levels", "largest", "bound of the mean", "mean crop area", "expected",
                      "holds"], (
        [name, f"{one['mean_difference']:.3f}", str(one["largest_difference"]), f"{one['bound']:g}", f"{one['crop_area']:.3f}",
         f"{one['expected_crop_area']:.3f}", "yes" if one["holds"] else "no"] for name, one in checks.items()))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_argument_group("datasets, as make_data.py makes them; rows without their data are left out")
    for name, what in (("data", "files as they are"), ("prepared", "prepared losslessly"), ("lossy", "quality 90, at most 512 px"),
                       ("photos", "12 megapixels, as they are"), ("photos-prepared", "the same, prepared"),
                       ("thousand", "1,000 images"), ("outlier", "the same and one of 40 megapixels"),
                       ("outlier-alone", "only that one")):
        data.add_argument(f"--{name}", type=pathlib.Path, help=what)
    data.add_argument("--made", type=pathlib.Path, help="folder that make_data.py wrote: all of the above that are in it")
    data.add_argument("--beton", type=pathlib.Path, help="FFCV's file, as loader_ffcv.py --write makes it")
    data.add_argument("--split", default="train")
    parser.add_argument("--ffcv-python", default="build/ffcv-venv/bin/python")
    parser.add_argument("--peers", default=",".join(PEERS), help="separated by commas; %(default)s")
    add_options(parser, repeats=9, seconds=4, warm_up=2, threads=1)
    parser.add_argument("--no-check", action="store_true", help="time peers without looking at their pixels and crops")
    return finish_options(parser, parser.parse_args())


def finish_options(parser, options):
    interleave.finish_options(parser, options)
    options.peers = options.peers.split(",")
    for name in ("data", "prepared", "lossy", "photos", "photos_prepared", "thousand", "outlier", "outlier_alone"):
        folder = options.made and options.made / {"data": "untouched"}.get(name, name.replace("_", "-"))
        if folder and not getattr(options, name) and (folder / "dataset.json").exists():
            setattr(options, name, folder)
    for peer in options.peers:
        if peer not in PEERS:
            parser.error(f"there is no peer {peer}; there are {', '.join(PEERS)}")
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the programs too
    options = parse_options()
    comparison = Comparison(options)
    comparison.plan()
    outlier = comparison.outlier_programs()
    if not comparison.commands:
        sys.exit("no dataset was given: --made, --data, --prepared, ...")
    checks = {} if options.no_check else check_peers(comparison)
    refused = [name for name, one in checks.items() if not one["holds"]]
    if refused:
        print("\n".join(markdown([], {}, checks)))
        sys.exit(f"not what their settings explain: {', '.join(refused)}")
    programs = measure(comparison.commands, options)
    rows = [row_result(row, programs) for row in comparison.rows]
    if outlier:
        rows.append(outlier_result(outlier, programs))
    summaries = {name: program.summary() for name, program in programs.items()}
    print("\n".join(markdown(rows, summaries, checks)))
    print(json.dumps({"machine": processor(), "threads": options.threads, "repeats": options.repeats, "seconds": options.seconds,
                      "rows": rows, "programs": summaries, "checks": checks}))


if __name__ == "__main__":
    main()
