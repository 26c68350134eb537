"""Reads the records of shards that bit-shard wrote, without TensorFlow. Checksums are not looked at."""
import pathlib
import struct
import sys


def split_shards(directory, split):
    """The paths of a split's shards, in order; a dataset without them ends the program."""
    shards = sorted(str(p) for p in directory.glob(f"*-{split}.tfrecord-*") if p.suffix != ".idx")
    if not shards:
        sys.exit(f"{directory} has no shards of the split {split}")
    return shards


def examples(shards):
    """The tensorflow.Example of every record, serialised."""
    for shard in shards:
        buffer, at = memoryview(pathlib.Path(shard).read_bytes()), 0
        while at < len(buffer):  # length, its checksum, the record, its checksum
            size = struct.unpack_from("<Q", buffer, at)[0]
            yield buffer[at + 12:at + 12 + size]
            at += size + 16


def read_varint(buffer, at):
    value = shift = 0
    while True:
        byte = buffer[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value, at


def fields_of(buffer):
    """(number, bytes) of every length-delimited field of a protocol buffer message; the tensorflow.Example path has no others."""
    at = 0
    while at < len(buffer):
        key, at = read_varint(buffer, at)
        size, at = read_varint(buffer, at)
        if key & 7 != 2:
            raise ValueError(f"wire type {key & 7} is not expected here")
        yield key >> 3, buffer[at:at + size]
        at += size


def field(buffer, number):
    return next(value for key, value in fields_of(buffer) if key == number)


def values(example, name):
    """The list of one feature: Example.features.feature[name], a BytesList or a packed Int64List."""
    for _, entry in fields_of(field(example, 1)):
        if bytes(field(entry, 1)) != name:
            continue
        ((kind, content),) = fields_of(field(entry, 2))
        items = [item for _, item in fields_of(content)]
        if kind == 1:
            return items
        if kind == 3:
            return [number for item in items for number in varints(item)]
        raise ValueError(f"{name.decode()} is neither bytes nor whole numbers")
    raise ValueError(f"a record has no {name.decode()}")


def varints(packed):
    at = 0
    while at < len(packed):
        number, at = read_varint(packed, at)
        yield number
