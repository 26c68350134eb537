"""Miniature copies of the datasets that docs/datasets.md names, made of the bundled photographs with the standard library alone.

make_layouts(folder, photographs) writes them and returns what is in each: {layout: {key of the image: names of its labels}}.
"""
import csv
import gzip
import io
import json
import pathlib
import random
import struct
import tarfile
import zlib

# WordNet ids in byte order; what they are called; their numbers in ILSVRC's development kit are in another order.
SYNSETS = {"n01440764": "tench, Tinca tinca", "n01443537": "goldfish", "n01484850": "great white shark", "n01491361": "tiger shark",
           "n01494475": "hammerhead", "n01496331": "electric ray", "n01498041": "stingray", "n01514668": "cock",
           "n01514859": "hen", "n01518878": "ostrich"}
DEVKIT = ["n01514859", "n01443537", "n01518878", "n01440764", "n01498041", "n01484850", "n01496331", "n01491361", "n01514668",
          "n01494475"]
MACHINE_IDS = ["/m/01g317", "/m/09j2d", "/m/0c8", "/m/04yx4"]  # of Open Images


def read_photographs(path):
    """[bytes of a JPEG], none twice."""
    with tarfile.open(path) as tar:
        pictures = {tar.extractfile(member).read(): None for member in tar if member.isfile() and member.name.endswith(".jpg")}
    return list(pictures)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def tar_of(members, compressed=False):
    """A tar of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if compressed else "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def png(width, height, depth=8, colour=2):
    """A PNG of random RGB (colour 2) or RGBA (6) pixels."""
    random_bytes = random.Random(width * height).randbytes
    row_bytes = width * {2: 3, 6: 4}[colour] * depth // 8
    rows = b"".join(b"\0" + random_bytes(row_bytes) for _ in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(width, height):
    pixels = random.Random(1).randbytes((3 * width + 3) // 4 * 4 * height)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


# TFRecord and tensorflow.Example, from their specifications.

def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def masked_crc(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features):
    """A serialized Example of {key: bytes or [integers]}."""
    entries = b""
    for key, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        else:
            feature = field(3, field(1, b"".join(map(varint, value))))
        entries += field(1, field(1, key.encode()) + field(2, feature))
    return field(1, entries)


def tfrecords(records):
    out = b""
    for record in records:
        length = struct.pack("<Q", len(record))
        out += length + masked_crc(length) + record + masked_crc(record)
    return out


class Layouts:
    def __init__(self, folder, photographs):
        self.folder = folder
        self.photographs = iter(photographs)
        self.expected = {}

    def take(self):
        return next(self.photographs)

    def classes(self, names, each, pattern):
        """{class: {file name: bytes}}"""
        return {name: {pattern.format(name=name, number=i): self.take() for i in range(each)} for name in names}

    def expect(self, layout, entries):
        self.expected[layout] = {key: sorted([labels] if isinstance(labels, str) else labels) for key, labels in entries.items()}

    def expect_classes(self, layout, images):
        self.expect(layout, {f"{name}/{file}": name for name, files in images.items() for file in files})

    def imagenet(self):
        train = self.classes(SYNSETS, 6, "{name}_{number}.JPEG")
        # As in the original: one that is a PNG by its bytes.
        train["n01518878"]["n01518878_5.JPEG"] = png(40, 30)
        self.expect_classes("imagenet train", train)
        write(self.folder / "imagenet/ILSVRC2012_img_train.tar", tar_of({f"{name}.tar": tar_of(files) for name, files in train.items()}))
        labels = random.Random(2).choices(list(SYNSETS), k=20)
        images = {f"ILSVRC2012_val_{i:08}.JPEG": self.take() for i in range(1, 21)}
        self.expect("imagenet validation", dict(zip(images, labels, strict=True)))
        mixed = dict(random.Random(3).sample(list(images.items()), 20))  # the order of the members means nothing
        write(self.folder / "imagenet/ILSVRC2012_img_val.tar", tar_of(mixed))
        write(self.folder / "imagenet/imagenet_2012_validation_synset_labels.txt", "".join(f"{label}\n" for label in labels))
        truth = "imagenet/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
        write(self.folder / truth, "".join(f"{DEVKIT.index(label) + 1}\n" for label in labels))
        write(self.folder / "imagenet/ilsvrc2012_ids.txt", "".join(f"{name}\n" for name in DEVKIT))
        write(self.folder / "imagenet/synsets.txt", "".join(f"{name} {words}\n" for name, words in SYNSETS.items()))
        self.kaggle(train, images, labels)

    def kaggle(self, train, images, labels):
        root = self.folder / "kaggle"
        for name, files in train.items():
            for file, content in files.items():
                write(root / "ILSVRC/Data/CLS-LOC/train" / name / file, content)
        for file, content in images.items():
            write(root / "ILSVRC/Data/CLS-LOC/val" / file, content)
        rows = [f"{file.removesuffix('.JPEG')},{label} 85 1 499 272 {label} 1 2 3 4 \n" for file, label in zip(images, labels, strict=True)]
        random.Random(4).shuffle(rows)
        write(root / "LOC_val_solution.csv", "ImageId,PredictionString\n" + "".join(rows))
        write(root / "LOC_synset_mapping.txt", "".join(f"{name} {words}\n" for name, words in SYNSETS.items()))

    def imagenet21k(self):
        images = self.classes(list(SYNSETS)[:5], 5, "{name}_{number}.JPEG")
        shared = images["n01440764"]["n01440764_0.JPEG"]
        images["n01494475"]["n01494475_9.JPEG"] = shared  # an image of two synsets
        tars = {f"{name}.tar": tar_of(files) for name, files in images.items()}
        for file, content in tars.items():
            write(self.folder / "imagenet21k/fall11" / file, content)
        write(self.folder / "imagenet21k/fall11_whole.tar", tar_of(tars))
        winter = {f"winter21_whole/{file}": content for file, content in tars.items() if file != "n01484850.tar"}
        write(self.folder / "imagenet21k/winter21_whole.tar.gz", tar_of(winter, compressed=True))
        write(self.folder / "imagenet21k/imagenet21k_wordnet_ids.txt", "".join(f"{name}\n" for name in SYNSETS))
        self.expect_classes("fall11 unmerged", images)
        merged = {f"{name}/{file}": [name] for name, files in images.items() for file in files}
        del merged["n01494475/n01494475_9.JPEG"]
        merged["n01440764/n01440764_0.JPEG"] = ["n01440764", "n01494475"]
        self.expect("fall11", merged)
        self.expect("winter21", {key: labels for key, labels in merged.items() if not key.startswith("n01484850")})

    def open_images(self):
        root, rows, expected = self.folder / "openimages", [], {}
        for i in range(24):
            name = f"{0x000002b66c9c498e + 977 * i:016x}"
            write(root / "train" / f"{name}.jpg", self.take())
            present = [MACHINE_IDS[i % 4], MACHINE_IDS[(i + 1) % 4]][: 1 + i % 2]
            absent = [MACHINE_IDS[(i + 2) % 4]]
            if i == 23:  # nobody found anything in it
                present, absent = [], MACHINE_IDS
            rows += [(name, "verification", label, 1) for label in present]
            rows += [(name, "verification", label, 0) for label in absent]
            if present:
                expected[name] = present
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([("ImageID", "Source", "LabelName", "Confidence"), *rows])
        write(root / "oidv7-train-annotations-human-imagelabels.csv", out.getvalue())
        write(root / "oidv7-class-descriptions.csv", "LabelName,DisplayName\n" + "".join(
            f'{name},"Thing, number {i}"\n' for i, name in enumerate(MACHINE_IDS)))
        self.expect("openimages", expected)

    def lists(self):
        root = self.folder / "photos"
        names = [f"{folder}/{i}.jpg" for folder in ("a", "b") for i in range(5)]
        for name in names:
            write(root / name, self.take())
        one = {name: ("cat", "dog", "hen")[i % 3] for i, name in enumerate(names)}
        several = {name: ["cat", "dog", "hen"][: 1 + i % 3] for i, name in enumerate(names)}
        write(root / "one.csv", "path,label\n" + "".join(f"{name},{label}\n" for name, label in one.items()))
        write(root / "several.csv", "path,labels\n" + "".join(f"{name},{';'.join(labels)}\n" for name, labels in several.items()))
        write(root / "caffe.txt", "".join(f"{name} {i % 3}\n" for i, name in enumerate(names)))
        with gzip.open(root / "tags.tsv.gz", "wt") as out:
            out.write("when\tshot\ttags\n" + "".join(f"today\t{name[:-4]}\t{', '.join(labels)}\n" for name, labels in several.items()))
        write(root / "metadata.jsonl", "".join(
            json.dumps({"file_name": name, "labels": labels, "key": f"shot {name}"}) + "\n" for name, labels in several.items()))
        write(root / "classes.txt", "hen\ncat\ndog\n")
        self.expect("one", one)
        self.expect("several", several)
        self.expect("caffe", {name: str(i % 3) for i, name in enumerate(names)})
        self.expect("tags", {name[:-4]: labels for name, labels in several.items()})
        self.expect("keys", {f"shot {name}": labels for name, labels in several.items()})

    def folders(self):
        images = self.classes(["cat", "dog"], 4, "{number}.jpg")
        images["cat"]["deep.png"] = png(20, 16, depth=16, colour=6)
        images["dog"]["old.bmp"] = bmp(24, 18)
        images["dog"]["again.jpg"] = images["dog"]["0.jpg"]
        self.expect_classes("folders", images)
        for name, files in images.items():
            for file, content in files.items():
                write(self.folder / "pets" / name / file, content)
        write(self.folder / "pets/dog/cut.jpg", self.take()[:600])
        write(self.folder / "pets/cat/page.jpg", "<html>404</html>")

    def webdataset(self):
        expected, multi = {}, {}
        for shard in range(4):
            plain, json_shard = {}, {}
            for i in range(5):
                key, image, label = f"{shard:03}{i:03}", self.take(), (shard + i) % 3
                plain |= {f"{key}.jpg": image, f"{key}.cls": str(label).encode()}
                tags = ["cat", "dog", "hen"][: 1 + label]
                json_shard |= {f"{key}.jpg": image, f"{key}.json": json.dumps({"caption": "a photograph", "tags": tags}).encode()}
                expected[key], multi[key] = ("hen", "cat", "dog")[label], tags
            write(self.folder / f"wds/train-{shard:06}.tar", tar_of(plain))
            write(self.folder / f"wds-tags/{shard:04}.tar", tar_of(json_shard))
        write(self.folder / "wds/classes.txt", "hen\ncat\ndog\n")
        self.expect("wds", expected)
        self.expect("wds tags", multi)

    def tfds(self):
        root, names = self.folder / "tensorflow_datasets/pets/1.0.0", ["cat", "dog", "hen"]
        for split, shards in (("train", 2), ("test", 1)):
            expected = {}
            for shard in range(shards):
                records = []
                for i in range(6):
                    key = f"{split}-{shard}-{i}.jpg"
                    records.append(example({"image": self.take(), "label": [i % 3], "file_name": key.encode()}))
                    expected[key] = names[i % 3]
                write(root / f"pets-{split}.tfrecord-{shard:05}-of-{shards:05}", tfrecords(records))
            self.expect(f"tfds {split}", expected)
        splits = [{"name": split, "shardLengths": lengths, "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"}
                  for split, lengths in (("train", ["6", "6"]), ("test", ["6"]))]
        write(root / "dataset_info.json", json.dumps({"name": "pets", "version": "1.0.0", "fileFormat": "tfrecord", "splits": splits}))
        write(root / "features.json", "{}")
        write(root / "label.labels.txt", "".join(f"{name}\n" for name in names))

    def foreign_tfrecords(self):
        names = list(SYNSETS)[:4]
        every = {}
        for folder, shards, compressed in (("tpu", 4, False), ("more", 2, True)):
            expected = {}
            for shard in range(shards):
                records = []
                for i in range(6):
                    key = f"{folder}_{shard}_{i}.JPEG"
                    records.append(example({"image/encoded": self.take(), "image/class/label": [1 + i % 4], "image/filename": key.encode()}))
                    expected[key] = names[i % 4]
                content = tfrecords(records)
                name = f"train-{shard:05}-of-{shards:05}" if not compressed else f"{shard}.tfrecord.gz"
                write(self.folder / folder / name, gzip.compress(content) if compressed else content)
            every |= expected
            self.expect(folder, expected)
        self.expect("tpu and more", every)
        write(self.folder / "tpu/synsets.txt", "".join(f"{name}\n" for name in names))


def make_layouts(folder, photographs):
    layouts = Layouts(pathlib.Path(folder), read_photographs(photographs))
    for make in (layouts.imagenet, layouts.imagenet21k, layouts.open_images, layouts.lists, layouts.folders, layouts.webdataset,
                 layouts.tfds, layouts.foreign_tfrecords):
        make()
    return layouts.expected
