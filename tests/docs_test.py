#!/usr/bin/env python3
"""What README.md and docs/ tell people to type exists: commands of ./dev, programs, subcommands, flags, paths, links.

    docs_test.py ROOT PROGRAMS     checks the documents against the programs in the folder PROGRAMS
    docs_test.py --self-test       checks that stale text is caught
"""
import pathlib
import re
import shlex
import subprocess
import sys

BLOCK = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
SHELL_ENDS = {"|", "||", "&&", ";", ">", ">>", "&", "<"}
REPOSITORY_FOLDERS = ("configs/", "docs/", "examples/", "tests/", "benchmarks/", "cmake/", "schemas/", "storage/", "pipeline/",
                      "cluster/", "trainer/", "launcher/")


class Programs:
    """What the built programs answer to --help; asked once each."""

    def __init__(self, root, folder):
        self.root, self.folder, self.answers = root, folder, {}

    def help(self, name, *subcommand):
        key = (name, *subcommand)
        if key not in self.answers:
            program = self.root / "dev" if name == "./dev" else self.folder / name
            if not program.exists():
                self.answers[key] = None
            else:
                done = subprocess.run([str(program), *subcommand, "--help"], capture_output=True, text=True, timeout=60)
                self.answers[key] = done.stdout if done.returncode == 0 else None
        return self.answers[key]


def commands(text):
    """(line number, words) of every simple command in the shell blocks of a document."""
    for block in BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n") + 1
        lines = block.group(1).splitlines()
        skip = 0
        for position, line in enumerate(lines):
            if skip:
                skip -= 1
                continue
            while line.endswith("\\") and position + skip + 1 < len(lines):
                skip += 1
                line = line[:-1] + lines[position + skip]
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            lexer.commenters = "#"
            words = []
            for word in [*lexer, ";"]:
                if word in SHELL_ENDS:
                    if words:
                        yield first + position, words
                    words = []
                else:
                    words.append(word)


def without_launcher(words):
    """The program that mpirun starts, for a command that begins with mpirun."""
    if words[0] != "mpirun":
        return words
    for position, word in enumerate(words):
        if pathlib.PurePath(word).name.startswith("bit-"):
            return words[position:]
    return words


def faults(words, programs):
    """Why a command would not run as written."""
    words = without_launcher(words)
    name = words[0] if words[0] == "./dev" else pathlib.PurePath(words[0]).name
    if name != "./dev" and not name.startswith("bit-"):
        return
    general = programs.help(name)
    if general is None:
        yield f"there is no program {name}"
        return
    answer, rest = general, words[1:]
    if rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        own = rf"^ +{re.escape(rest[0])}\b"
        if not re.search(own, general, re.M):
            yield f"{name} has no command `{rest[0]}`"
            return
        if name != "./dev":
            answer = programs.help(name, rest[0]) or ""
    for word in rest:
        flag = word.split("=")[0]
        if re.fullmatch(r"--?[a-zA-Z][\w-]*", flag) and not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", answer):
            yield f"{' '.join(words[:2])} has no flag {flag}"


def check_document(path, text, root, programs):
    found = []
    for number, words in commands(text):
        for reason in faults(words, programs):
            found.append(f"{path}:{number}: {reason}")
        for word in words:
            if word.startswith(REPOSITORY_FOLDERS) and "*" not in word and not (root / word).exists():
                found.append(f"{path}:{number}: there is no {word}")
    for number, line in enumerate(text.splitlines(), 1):
        for link in LINK.findall(line):
            if not (root / path).parent.joinpath(link).exists():
                found.append(f"{path}:{number}: the link to {link} leads nowhere")
    return found


def self_test():
    class Fake:
        def help(self, name, *subcommand):
            known = {("bit-shard",): "  convert  Write shards\n", ("bit-shard", "convert"): "  --input PATH\n",
                     ("bit-launch",): "  --dry-run\n", ("./dev",): "  test [--oracles]\n"}
            return known.get((name, *subcommand))

    text = """[map](gone.md)
```sh
./dev test --oracles
./dev tset                # not a command
bit-shard convert \\
  --input a --ouput b
mpirun -n 2 build/release/bin/bit-launch configs/none.yaml --dry-run
bit-launch x.yaml && bit-nothing
ls --all
```
"""
    found = check_document("x.md", text, pathlib.Path("/nonexistent"), Fake())
    expected = [":4: ./dev has no command `tset`", ":5: bit-shard convert has no flag --ouput", ":7: there is no configs/none.yaml",
                ":8: there is no program bit-nothing", ":1: the link to gone.md"]
    assert len(found) == len(expected), found
    for part in expected:
        assert any(part in line for line in found), (part, found)
    print(f"{len(expected)} stale sentences were caught")


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    root, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    programs = Programs(root, folder)
    documents = [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "examples").glob("*.md"))]
    found, count = [], 0
    for document in documents:
        text = document.read_text()
        count += sum(1 for _ in commands(text))
        found += check_document(document.relative_to(root), text, root, programs)
    assert count >= 5, f"only {count} commands found: are the documents there?"
    print("\n".join(found) or f"{len(documents)} documents, {count} commands")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
