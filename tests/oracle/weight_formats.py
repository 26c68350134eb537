"""Weights between bit-model and the programs of others: numpy writes and reads the files, timm loads them.

weight_formats.py BIT_MODEL_PROGRAM TIMM_LOGITS_PROGRAM

The names here are written down a second time, from google-research/big_transfer, big_vision and timm.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from timm_model import CLASSES, TOLERANCE, make_model, randomise, relative_error, run_ours

BLOCKS = (2, 2, 2, 2)  # R26x0.5: small, and has a projection in every stage
ROOT = 32
HEAD = 7


def run(*arguments: str, expect: int = 0) -> str:
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def weights(blocks, root: int, classes: int):
    """Every weight once: (timm's name, published name, big_vision's, big_transfer PyTorch's, shape OIHW)."""
    yield ("stem.conv.weight", "resnet/root_block/standardized_conv2d/kernel", "root_block/conv_root/kernel",
           "root.conv.weight", (root, 3, 7, 7))
    channels, mid = root, root
    for stage, units in enumerate(blocks):
        for unit in range(units):
            timm, bit = f"stages.{stage}.blocks.{unit}.", f"resnet/block{stage + 1}/unit{unit + 1:02d}/"
            vision, pytorch = f"block{stage + 1}/unit{unit + 1:02d}/", f"body.block{stage + 1}.unit{unit + 1:02d}."
            if unit == 0:
                yield (timm + "downsample.conv.weight", bit + "a/proj/standardized_conv2d/kernel",
                       vision + "conv_proj/kernel", pytorch + "downsample.weight", (4 * mid, channels, 1, 1))
            for number, letter in enumerate("abc", 1):
                size, out = (3, mid) if letter == "b" else (1, 4 * mid if letter == "c" else mid)
                into = channels if letter == "a" else mid
                yield (f"{timm}conv{number}.weight", f"{bit}{letter}/standardized_conv2d/kernel",
                       f"{vision}conv{number}/kernel", f"{pytorch}conv{number}.weight", (out, into, size, size))
                for ours, theirs, flax in (("weight", "gamma", "scale"), ("bias", "beta", "bias")):
                    yield (f"{timm}norm{number}.{ours}", f"{bit}{letter}/group_norm/{theirs}",
                           f"{vision}gn{number}/{flax}", f"{pytorch}gn{number}.{ours}", (into,))
            channels = 4 * mid
        mid *= 2
    for ours, theirs, flax in (("weight", "gamma", "scale"), ("bias", "beta", "bias")):
        yield (f"norm.{ours}", f"resnet/group_norm/{theirs}", f"norm-pre-head/{flax}", f"head.gn.{ours}", (channels,))
    if classes:
        yield ("head.fc.weight", "resnet/head/conv2d/kernel", "head/kernel", "head.conv.weight", (classes, channels, 1, 1))
        yield ("head.fc.bias", "resnet/head/conv2d/bias", "head/bias", "head.conv.bias", (classes,))


def to_bit(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(2, 3, 1, 0)) if value.ndim == 4 else value


def to_big_vision(name: str, value: np.ndarray) -> np.ndarray:
    if value.ndim == 4:
        return np.ascontiguousarray(value[:, :, 0, 0].T) if name.startswith("head") else to_bit(value)
    return value if name.startswith("head") else value.reshape(1, 1, 1, -1)


def random_network(classes: int, seed: int = 1):
    generator = np.random.default_rng(seed)
    table = list(weights(BLOCKS, ROOT, classes))
    return table, {row[0]: generator.standard_normal(row[4], dtype=np.float32) for row in table}


def with_number(name: str, number: int) -> str:
    return name.replace("/standardized_conv2d/", f"/standardized_conv2d_{number}/")


def check_imports(bit_model: str, folder: Path) -> None:
    """Files that numpy and safetensors write become the same tensors under timm's names."""
    table, network = random_network(HEAD)
    official = {row[1]: to_bit(network[row[0]]) for row in table}
    vision = {row[2]: to_big_vision(row[2], network[row[0]]) for row in table}
    pytorch = {row[3]: network[row[0]] for row in table}
    state = {"opt/0/count": np.int32(3), "extra/note": np.array("text")}
    files = {
        "official.npz": lambda path: np.savez(path, **official),
        "compressed.npz": lambda path: np.savez_compressed(path, **official),
        "numbered.npz": lambda path: np.savez(path, **{with_number(k, i): v for i, (k, v) in enumerate(official.items())}),
        "fortran.npz": lambda path: np.savez(path, **{k: np.asfortranarray(v) for k, v in official.items()}),
        "big_vision.npz": lambda path: np.savez(path, **vision),
        "big_vision_checkpoint.npz": lambda path: np.savez(path, **state, **{"params/" + k: v for k, v in vision.items()}),
        "doubles.npz": lambda path: np.savez(path, **{k: v.astype("<f8") for k, v in official.items()}),
        "timm.safetensors": lambda path: save_file(network, path),
        "parallel.safetensors": lambda path: save_file({"module." + k: v for k, v in network.items()}, path),
        "big_transfer.safetensors": lambda path: save_file({"module." + k: v for k, v in pytorch.items()}, path),
    }
    for name, write in files.items():
        write(str(folder / name))
        run(bit_model, "import", folder / name, "--output", folder / "imported.safetensors")
        imported = load_file(str(folder / "imported.safetensors"))
        assert imported.keys() == network.keys(), name
        assert all(np.array_equal(imported[k], network[k]) for k in network), name
        run(bit_model, "diff", folder / name, folder / "imported.safetensors")
    halves = {k: v.astype("<f2") for k, v in official.items()}
    np.savez(str(folder / "halves.npz"), **halves)
    run(bit_model, "import", folder / "halves.npz", "--output", folder / "imported.safetensors")
    imported = load_file(str(folder / "imported.safetensors"))
    for row in table:
        assert np.array_equal(imported[row[0]], network[row[0]].astype("<f2").astype("<f4")), row[0]
    run(bit_model, "import", folder / "official.npz", "--output", folder / "imported.safetensors", "--no-head")
    without = load_file(str(folder / "imported.safetensors"))
    assert without.keys() == {name for name in network if not name.startswith("head.")}
    print(f"{len(files) + 1} files of numpy and safetensors are imported with equal tensors")


def check_exports(bit_model: str, folder: Path) -> None:
    """What is exported has the names, shapes and values that its readers expect."""
    table, network = random_network(HEAD)
    save_file(network, str(folder / "timm.safetensors"))
    run(bit_model, "export", folder / "timm.safetensors", "--output", folder / "bit.npz")
    with np.load(folder / "bit.npz") as official:
        assert set(official.files) == {row[1] for row in table}
        assert all(np.array_equal(official[row[1]], to_bit(network[row[0]])) for row in table)
        assert all(official[name].dtype == np.float32 for name in official.files)
    run(bit_model, "export", folder / "bit.npz", "--output", folder / "vision.npz", "--format", "big_vision")
    with np.load(folder / "vision.npz") as vision:
        assert set(vision.files) == {row[2] for row in table}
        assert all(np.array_equal(vision[row[2]], to_big_vision(row[2], network[row[0]])) for row in table)
    run(bit_model, "export", folder / "vision.npz", "--output", folder / "pytorch.safetensors", "--format", "big_transfer")
    pytorch = load_file(str(folder / "pytorch.safetensors"))
    assert all(np.array_equal(pytorch[row[3]], network[row[0]]) for row in table) and len(pytorch) == len(table)
    run(bit_model, "diff", folder / "timm.safetensors", folder / "pytorch.safetensors")
    print("numpy and safetensors read what is exported: names, shapes and values are the published ones")


def check_sparse(bit_model: str, folder: Path) -> None:
    """An archive above 4 GiB, by Python's zipfile: holes between members, and a head above 4 GiB that nobody reads."""
    table, network = random_network(classes=0)
    path = folder / "sparse.npz"
    gap = (5 << 30) // len(table)
    with zipfile.ZipFile(path, "w") as archive:
        for row in table:
            with archive.open(row[1] + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, to_bit(network[row[0]]))
            archive.start_dir += gap  # where the next member goes, or the directory
    assert path.stat().st_size > 5 << 30 and path.stat().st_blocks * 512 < 1 << 28
    run(bit_model, "import", path, "--output", folder / "imported.safetensors")
    imported = load_file(str(folder / "imported.safetensors"))
    assert imported.keys() == network.keys()
    assert all(np.array_equal(imported[name], network[name]) for name in network)

    features, classes = 16 * ROOT * 2, (5 << 30) // (16 * ROOT * 2 * 4)
    with zipfile.ZipFile(path, "a") as archive:
        for name, shape in (("kernel", (1, 1, features, classes)), ("bias", (classes,))):
            member = zipfile.ZipInfo(f"resnet/head/conv2d/{name}.npy")
            header = npy_header(shape)
            member.file_size = member.compress_size = len(header) + 4 * int(np.prod(shape))
            member.CRC = 0  # wrong, and never looked at: the head is left out
            member.header_offset = archive.start_dir
            archive.fp.seek(archive.start_dir)
            archive.fp.write(member.FileHeader(zip64=True) + header)
            archive.start_dir = archive.fp.tell() + member.file_size - len(header)
            archive.filelist.append(member)
            archive.NameToInfo[member.filename] = member
        archive._didModify = True
    text = run(bit_model, "inspect", path)
    assert f"[1, 1, {features}, {classes}]" in text and f"with {classes} classes" in text, text
    run(bit_model, "import", path, "--output", folder / "imported.safetensors", "--no-head")
    imported = load_file(str(folder / "imported.safetensors"))
    assert imported.keys() == network.keys()
    assert all(np.array_equal(imported[name], network[name]) for name in network)
    print(f"a sparse archive of {path.stat().st_size / 2**30:.1f} GiB is imported with equal tensors")
    path.unlink()


def npy_header(shape) -> bytes:
    empty = tempfile.SpooledTemporaryFile()
    np.lib.format.write_array_header_1_0(empty, {"descr": "<f4", "fortran_order": False, "shape": shape})
    empty.seek(0)
    return empty.read()


def check_timm(bit_model: str, timm_logits: str, folder: Path) -> None:
    """timm's own reader of published files loads our .npz; its logits are those before, and ours."""
    generator = torch.Generator().manual_seed(3)
    model = make_model().eval()
    randomise(model, generator, kinks=True)
    save_file({name: value.numpy() for name, value in model.state_dict().items()}, str(folder / "R50x1.safetensors"))
    run(bit_model, "export", folder / "R50x1.safetensors", "--output", folder / "R50x1.npz", "--format", "bit")
    again = make_model().eval()
    again.load_pretrained(str(folder / "R50x1.npz"))
    images = torch.rand(2, 3, 97, 65, generator=generator) * 2 - 1
    with torch.no_grad():
        before, after = model(images), again(images)
    assert torch.equal(before, after)
    ours, _ = run_ours(timm_logits, model, images, torch.randn(2, CLASSES), given=str(folder / "R50x1.npz"))
    error = relative_error(ours["logits"], after, after.max() - after.min())
    assert error <= TOLERANCE, error
    print(f"timm loads the exported .npz: equal logits; ours from the same file differ by {error:.1e} of their range")


def main(bit_model: str, timm_logits: str) -> int:
    for check in (check_imports, check_exports, check_sparse):
        with tempfile.TemporaryDirectory() as folder:
            check(bit_model, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        check_timm(bit_model, timm_logits, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
