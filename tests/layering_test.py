#!/usr/bin/env python3
"""The rules of the house that a program can check: who may include whom, no feature #ifdef, no test that cannot fail.

    layering_test.py ROOT          checks the repository; every breach is named as file:line
    layering_test.py --self-test   checks that breaches are caught
"""
import pathlib
import re
import sys
import tempfile

# launcher > trainer > { pipeline > storage > schemas, cluster }: what each folder may include besides itself.
ALLOWED = {
    "schemas": set(),
    "storage": {"schemas"},
    "pipeline": {"storage", "schemas"},
    "cluster": set(),
    "trainer": {"pipeline", "storage", "schemas", "cluster"},
    "launcher": {"trainer", "pipeline", "storage", "schemas", "cluster"},
}
# Folders that may name these outsiders; everybody else keeps them out of sight.
OUTSIDERS = {
    r"mpi\.h": {"cluster"},
    r"nccl\.h": {"cluster"},
    r"hwloc\.h": {"cluster"},
    r"(torch|ATen|c10)/.*": {"trainer", "launcher"},
    r"(jpeglib|turbojpeg|jerror)\.h": {"pipeline"},
    r"yaml-cpp/.*": {"launcher"},
    r"prometheus/.*": {"launcher"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
FEATURE_IFDEF = re.compile(r"^\s*#\s*(?:ifdef|ifndef|if|elif)\b.*(CUDA|NCCL|MPI)")
SLEEPY_TEST = re.compile(r"\b(GTEST_SKIP|DISABLED_\w+|sleep_for|sleep_until|usleep|nanosleep|sleep)\s*[(,)]|[(, ]DISABLED_")
LONG_FILE = 400  # lines


def sources(root, folder):
    return sorted(p for p in (root / folder).rglob("*") if p.suffix in (".h", ".cpp", ".inc"))


def without_comments(text):
    """The text with comments and string literals blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/|(?<!include )"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def include_breach(folder, included):
    """Why `folder` may not include this path, or None."""
    target = included.split("/")[0]
    if target in ALLOWED and target != folder and target not in ALLOWED[folder]:
        return f"{folder} may not include {target}"
    for pattern, owners in OUTSIDERS.items():
        if re.fullmatch(pattern, included) and folder not in owners:
            return f"only {' and '.join(sorted(owners))} may include {included}"
    return None


def breaches(root):
    """Every breach as 'file:line: reason'."""
    found = []
    for folder in ALLOWED:
        for path in sources(root, folder):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                reason = include_breach(folder, match.group(1)) if match else None
                if FEATURE_IFDEF.match(line):
                    reason = "a missing part is a linked file, not an #ifdef"
                if reason:
                    found.append(f"{path.relative_to(root)}:{number}: {reason}")
    for path in sources(root, "tests"):
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
            if SLEEPY_TEST.search(line):
                found.append(f"{path.relative_to(root)}:{number}: a test is neither disabled nor skipped, and does not sleep")
    return found


def self_test():
    cases = {
        "storage/a.h": ('#include "pipeline/loader.h"\n', "storage may not include pipeline"),
        "pipeline/a.cpp": ('#include "cluster/communicator.h"\n', "pipeline may not include cluster"),
        "cluster/a.cpp": ('#include "schemas/config.pb.h"\n', "cluster may not include schemas"),
        "trainer/a.cpp": ('#include <mpi.h>\n', "only cluster may include mpi.h"),
        "storage/b.cpp": ('#include <ATen/ATen.h>\n', "may include ATen/ATen.h"),
        "cluster/b.cpp": ("#ifdef BIT_WITH_NCCL\n", "not an #ifdef"),
        "tests/unit/a_test.cpp": ("TEST(A, B) { GTEST_SKIP(); }\n", "neither disabled"),
        "tests/unit/b_test.cpp": ("std::this_thread::sleep_for(1s);\n", "neither disabled"),
        "tests/unit/c_test.cpp": ("TEST(A, DISABLED_b) {}\n", "neither disabled"),
        "launcher/good.cpp": ('#include "trainer/loss.h"\n#include <torch/torch.h>\n', None),
        "tests/unit/good_test.cpp": ('// sleep_for(1s) would be luck\nauto s = "sleep(1)";\n', None),
    }
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for file, (text, _) in cases.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text)
        found = breaches(root)
        for file, (_, reason) in cases.items():
            mine = [line for line in found if line.startswith(file)]
            if reason is None:
                assert not mine, mine
            else:
                assert len(mine) == 1 and reason in mine[0], (file, reason, mine)
    print(f"{len(cases)} cases as expected")


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    root = pathlib.Path(sys.argv[1]).resolve()
    files = [path for folder in ALLOWED for path in sources(root, folder)]
    assert len(files) > 50, f"only {len(files)} sources under {root}: is it the repository?"
    for path in files + sources(root, "tests"):
        lines = len(path.read_text().splitlines())
        if lines > LONG_FILE:
            print(f"note: {path.relative_to(root)} has {lines} lines; aim at {LONG_FILE}")
    found = breaches(root)
    print("\n".join(found) or f"{len(files)} sources keep the order of the folders")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
