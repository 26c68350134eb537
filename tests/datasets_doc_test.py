#!/usr/bin/env python3
"""Runs what docs/datasets.md tells people to type, block after block, on miniature copies of the datasets that it names.

    datasets_doc_test.py ROOT PROGRAMS     every record has to hold its key and labels, every dataset has to pass `bit-shard verify`
    datasets_doc_test.py --self-test       checks that the records are taken apart and that what is wrong is told
"""
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no files in the source tree
import datasets_layouts

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
# As tests/integration/run_support.cpp: root in a container, fewer cores than ranks.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
       "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
       "OMPI_MCA_hwloc_base_binding_policy": "none"}
# What has to be in shards/<directory>: layout of datasets_layouts.py by split.
OUTCOME = {
    "imagenet": {"train": "imagenet train", "validation": "imagenet validation"},
    "devkit": {"validation": "imagenet validation"},
    "kaggle": {"train": "imagenet train", "validation": "imagenet validation"},
    "fall11": {"train": "fall11"},
    "fall11-whole": {"train": "fall11"},
    "fall11-ranks": {"train": "fall11 unmerged"},
    "winter21": {"train": "winter21"},
    "one": {"train": "one"},
    "several": {"train": "several"},
    "caffe": {"train": "caffe"},
    "keys": {"train": "keys"},
    "tags": {"train": "tags"},
    "openimages": {"train": "openimages"},
    "wds": {"train": "wds"},
    "wds-tags": {"train": "wds tags"},
    "pets-tfds": {"train": "tfds train", "validation": "tfds test"},
    "tpu": {"train": "tpu"},
    "merged": {"train": "tpu and more"},
    "again": {"train": "tpu and more"},
    "pets": {"train": "folders"},
}
SYNSETS, MACHINE_IDS = list(datasets_layouts.SYNSETS), datasets_layouts.MACHINE_IDS
CLASSES = {"imagenet": SYNSETS, "devkit": SYNSETS, "kaggle": SYNSETS, "fall11": SYNSETS, "fall11-whole": SYNSETS, "winter21": SYNSETS,
           "fall11-ranks": SYNSETS[:5], "one": ["cat", "dog", "hen"], "several": ["hen", "cat", "dog"], "caffe": [],
           "keys": ["cat", "dog", "hen"], "tags": ["cat", "dog", "hen"], "openimages": MACHINE_IDS, "wds": ["hen", "cat", "dog"],
           "wds-tags": ["cat", "dog", "hen"], "pets-tfds": ["cat", "dog", "hen"], "tpu": SYNSETS[:4], "merged": SYNSETS[:4],
           "again": SYNSETS[:4], "pets": ["cat", "dog"]}

# What people get wrong with these datasets: options, exit code, what has to be said.
MISTAKES = [
    ("--input imagenet/ILSVRC2012_img_val.tar", 65, "no list of their labels (--labels)"),
    ("--input imagenet/ILSVRC2012_img_val.tar --labels imagenet/synsets.txt", 65, "10 labels, but"),
    ("--input tensorflow_datasets/pets", 2, "is that the input you mean?"),
    ("--input tensorflow_datasets/pets/1.0.0 --source-split validation", 65, "no split `validation`, but train, test"),
    ("--input 'wds/train-{000000..000005}.tar'", 65, "2 files are missing: wds/train-000004.tar, wds/train-000005.tar"),
    ("--input wds --labels photos/classes.txt", 2, "--labels is for tars and folders of images without classes"),
    ("--input photos/one.csv --label-names photos/classes.txt", 2, "--label-names names the numbers in --labels"),
    ("--input photos/one.csv --json-label tags", 2, "--json-label is for WebDataset tars"),
    ("--input kaggle/LOC_val_solution.csv", 65, "no column is known to be the labels: say which with --column"),
    ("--input openimages/oidv7-train-annotations-human-imagelabels.csv", 65, "nor is any other image of"),
    ("--input imagenet21k/winter21_whole.tar.gz --shards 99", 2, "there are only 21 images"),
]


def varint(message, at):
    """(number at `at`, where it ends)"""
    number = shift = 0
    while True:
        number |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return number, at


def varints(packed):
    at = 0
    while at < len(packed):
        number, at = varint(packed, at)
        yield number


def fields(message):
    """(number, bytes) of the fields of a protobuf message, which are texts and messages."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        assert tag & 7 == 2, "a field without a length"
        length, at = varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def features(example):
    """{key: bytes or [integers]} of a serialized Example."""
    found = {}
    for _, entry in fields(dict(fields(example))[1]):
        key, feature = (value for _, value in fields(entry))
        ((kind, values),) = fields(feature)
        value = dict(fields(values))[1]
        found[key.decode()] = list(varints(value)) if kind == 3 else value
    return found


def records(path):
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack_from("<Q", content)
        yield content[12 : 12 + length]
        content = content[16 + length :]


def read_split(directory, names, split):
    """{key: sorted names (or numbers from 0) of its labels}"""
    found = {}
    for shard in split["shards"]:
        for record in records(directory / shard["file"]):
            example = features(record)
            assert example["image/encoded"][:2] == b"\xff\xd8", "not a JPEG"
            key = example["image/filename"].decode()
            assert key not in found, f"{key} is there twice"
            labels = [label - 1 for label in example["image/class/label"]]
            found[key] = sorted(names[label] if names else str(label) for label in labels)
    return found


def faults(directory, splits, classes, expected):
    """What in a dataset is not as it should be."""
    manifest = json.loads((directory / "dataset.json").read_text())
    names = manifest.get("class_names", [])
    if names != classes:
        yield f"classes {names}"
    there = {split["name"]: split for split in manifest["splits"]}
    if sorted(there) != sorted(splits):
        yield f"splits {sorted(there)}"
        return
    for name, layout in splits.items():
        found, wanted = read_split(directory, names, there[name]), expected[layout]
        if int(there[name]["records"]) != len(found):
            yield f"{name}: dataset.json says {there[name]['records']} records, there are {len(found)}"
        for key in sorted(found.keys() | wanted.keys()):
            if found.get(key) != wanted.get(key):
                yield f"{name}: {key} is {found.get(key)}, not {wanted.get(key)}"


def run(command, work, environment):
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=work, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def type_document(document, work, environment):
    """Number of blocks that ran; exits when one fails."""
    count, text = 0, document.read_text()
    for block in BLOCK.finditer(text):
        count += 1
        done = run(block.group(1), work, environment)
        if done.returncode != 0:
            line = text[: block.start(1)].count("\n") + 1
            sys.exit(f"{block.group(1)}{done.stdout}{document.name}:{line}: exit code {done.returncode}")
    return count


def check_reports(work, environment):
    """Files beside the records."""
    lines = [json.loads(line) for line in (work / "shards/pets/quarantine.jsonl").read_text().splitlines()]
    assert sorted(line["path"] for line in lines) == ["pets/cat/page.jpg", "pets/dog/cut.jpg"], lines
    lines = [json.loads(line) for line in (work / "shards/fall11/duplicates.jsonl").read_text().splitlines()]
    assert [(line["labels"], line["merged"]) for line in lines] == [([0, 4], True)], lines
    shown = run("bit-shard inspect shards/fall11", work, environment).stdout
    assert re.search(r"^ +0 n01440764 +5 ", shown, re.M), shown
    assert re.search(r"^ +4 n01494475 +6 ", shown, re.M), shown
    assert "<img" in (work / "imagenet.html").read_text() and (work / "record.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert not (work / "shards/try/dataset.json").exists(), "a dry run leaves nothing"


def check_mistakes(work, environment):
    for i, (options, code, said) in enumerate(MISTAKES):
        done = run(f"bit-shard convert {options} --output mistakes/{i} --name n --split train", work, environment)
        assert done.returncode == code and said in done.stdout, f"{options}: exit code {done.returncode}: {done.stdout}"
    # The last one was listed, and copied, in vain.
    assert not (work / f"mistakes/{len(MISTAKES) - 1}/.n-train.partial").exists()


def main(root, programs):
    with tempfile.TemporaryDirectory(prefix="bit-datasets-") as name:
        work = pathlib.Path(name)
        expected = datasets_layouts.make_layouts(work, root / "examples/clothing-72.tar")
        environment = {**os.environ, **MPI, "PATH": f"{programs}:{os.environ['PATH']}"}
        count = type_document(root / "docs/datasets.md", work, environment)
        found = [f"{directory}: {fault}" for directory, splits in OUTCOME.items()
                 for fault in faults(work / "shards" / directory, splits, CLASSES[directory], expected)]
        written = {path.parent.name for path in (work / "shards").glob("*/dataset.json")}
        found += [f"{directory}: written, but nothing is said of it here" for directory in written ^ OUTCOME.keys()]
        for directory in OUTCOME:
            done = run(f"bit-shard verify shards/{directory}", work, environment)
            if done.returncode != 0:
                found.append(done.stdout)
        print("\n".join(found))
        if found:
            return 1
        check_reports(work, environment)
        check_mistakes(work, environment)
    print(f"{count} blocks ran, {len(OUTCOME)} datasets are as they should be")
    return 0


def self_test():
    with tempfile.TemporaryDirectory(prefix="bit-datasets-") as name:
        work = pathlib.Path(name)
        example = datasets_layouts.example({"image/encoded": b"\xff\xd8", "image/class/label": [1, 300], "image/filename": b"a"})
        (work / "shard").write_bytes(datasets_layouts.tfrecords([example]))
        split = {"name": "train", "records": "1", "shards": [{"file": "shard"}]}
        (work / "dataset.json").write_text(json.dumps({"splits": [split]}))
        assert not list(faults(work, {"train": "x"}, [], {"x": {"a": ["0", "299"]}}))
        assert list(faults(work, {"train": "x"}, [], {"x": {"a": ["0"]}})) == ["train: a is ['0', '299'], not ['0']"]
        assert list(faults(work, {"train": "x"}, [], {"x": {"a": ["0", "299"], "b": ["1"]}})) == ["train: b is None, not ['1']"]
        assert list(faults(work, {"test": "x"}, ["cat"], {"x": {}})) == ["classes []", "splits ['train']"]
    print("what is wrong is told")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()))
