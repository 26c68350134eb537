#!/usr/bin/env python3
"""Runs clang-tidy over the project's files of a build's compile_commands.json, each file once per content.

The commands are GCC's; what clang does not know is left out. A file that passed is not read again until it, a header of
the project, its command or the checks change.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys
import time

# Tests are left to the compiler's warnings: GoogleTest's macros cost most of the time and find nothing.
FOLDERS = ("schemas", "storage", "pipeline", "cluster", "trainer", "launcher")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def clang_command(command):
    """The words of a GCC command without precompiled headers, OpenMP and warnings, which clang-tidy has no use for."""
    words = shlex.split(command)
    if words[0].endswith("ccache"):
        words = words[1:]
    kept, skip = [], False
    for position, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-include" and "cmake_pch" in words[position + 1]:
            skip = True
        elif not word.startswith(("-W", "-fopenmp", "-fpch")) or word.startswith("-Wl,"):
            kept.append(word)
    return kept


def project_files(build):
    """{path of a .cpp file: its command as clang takes it}, of the project's own folders."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in FOLDERS:
            found[path] = {"directory": entry["directory"], "file": str(path), "arguments": clang_command(entry["command"])}
    return dict(sorted(found.items()))


def common_hash():
    """Hash of what every file's result depends on: the checks and all headers."""
    digest = hashlib.sha256()
    inputs = [ROOT / ".clang-tidy", pathlib.Path(__file__)]
    for folder in FOLDERS:
        inputs += sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".proto") or p.name == ".clang-tidy")
    for path in inputs:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def check(path, state, stamp):
    began = time.monotonic()
    done = subprocess.run(["clang-tidy-14", "--quiet", "-p", str(state), str(path)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        stamp.touch()
    return path, done, time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True, help="folder for stamps and the rewritten commands")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("only", nargs="*", help="parts of paths: check only these")
    options = parser.parse_args()

    options.state.mkdir(parents=True, exist_ok=True)
    commands = project_files(options.build)
    (options.state / "compile_commands.json").write_text(json.dumps(list(commands.values()), indent=1))
    shared = common_hash()
    wanted, stamps = [], {}
    for path, entry in commands.items():
        if options.only and not any(part in str(path) for part in options.only):
            continue
        text = shared + " ".join(entry["arguments"])
        name = hashlib.sha256(text.encode() + path.read_bytes()).hexdigest()[:24]
        stamps[path] = options.state / (name + ".passed")
        if not stamps[path].exists():
            wanted.append(path)
    for old in set(options.state.glob("*.passed")) - set(stamps.values()):
        if not options.only:
            old.unlink()

    print(f"{len(stamps)} files, {len(stamps) - len(wanted)} of them unchanged since they passed", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda path: check(path, options.state, stamps[path]), wanted)
        for number, (path, done, seconds) in enumerate(results, 1):
            verdict = "passed" if done.returncode == 0 else "FAILED"
            print(f"[{number}/{len(wanted)}] {path.relative_to(ROOT)} {verdict} ({seconds:.0f} s)", flush=True)
            if done.returncode != 0:
                failed += 1
                print(done.stdout, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
