#!/usr/bin/env python3
"""./dev does nothing when it is asked for help or does not know a word: run on a copy of the script
whose build folder must survive.

dev_test.py REPOSITORY
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

COMMANDS = ["setup", "build", "test", "quickstart", "lint", "format", "bench", "docs", "clean"]
REFUSED = [[command, "--no-such-flag"] for command in COMMANDS]
REFUSED += [["nonsense"], ["build", "relase"], ["build", "release", "dev"], ["clean", "release"], ["docs", "all"],
            ["lint", "launcher"], ["bench", "shards", "train", "more"]]


def main(repository):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        shutil.copy2(repository / "dev", copy)
        shutil.copytree(repository / "cmake/dev", copy / "cmake/dev")
        kept = copy / "build/release/kept"
        kept.parent.mkdir(parents=True)
        kept.touch()

        def dev(*words):
            result = subprocess.run([copy / "dev", *words], capture_output=True, text=True, timeout=30)
            if not kept.exists() or len(list((copy / "build").iterdir())) != 1:
                failures.append(f"./dev {' '.join(words)}: did something")
            return result

        for words in [[], ["help"], ["--help"]] + [[c, flag] for c in COMMANDS for flag in ("--help", "-h")]:
            result = dev(*words)
            if result.returncode != 0 or not result.stdout.startswith("./dev COMMAND"):
                failures.append(f"./dev {' '.join(words)}: no help but {result}")
        for words in REFUSED:
            result = dev(*words)
            if result.returncode == 0 or words[-1] not in result.stderr:
                failures.append(f"./dev {' '.join(words)}: not refused by name: {result}")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
