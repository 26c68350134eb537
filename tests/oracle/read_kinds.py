#!/usr/bin/env python3
"""Files of every kind that Pillow and TensorFlow write become the pictures that Pillow sees in them.

    read_kinds.py BIT_SHARD       converts folders of them; a JPEG in colour or grey must keep every pixel, the others
                                  must equal in every pixel the JPEG that Pillow makes of them (quality 95, 4:4:4)
"""
import io
import os
import pathlib
import struct
import sys
import tempfile
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, PngImagePlugin

from shard_records import convert, decode_with_pillow, read_records, through_jpeg

SIZE = (83, 61)  # width, height: no multiples of 8
ORIENTATION = 0x0112  # EXIF's tag
WHOLE_BLOCKS = (96, 64)
MAX_SIDE = 40


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def picture(mode, seed, size=SIZE):
    """A smooth picture whose alpha, where there is one, is anything from 0 to 255, with colours under it."""
    small = np.random.default_rng(seed).integers(0, 255, (4, 4, 4), np.uint8)
    image = Image.merge("RGBA", [Image.fromarray(small[..., i]).resize(size, Image.BICUBIC) for i in range(4)])
    if mode in ("RGBA", "CMYK"):
        return image if mode == "RGBA" else Image.merge("CMYK", image.split())
    if mode == "LA":
        return Image.merge("LA", image.split()[2:])
    if mode == "1":
        return image.convert("L").point(lambda value: 255 * (value > 128), "1")
    if mode == "P":
        return image.convert("RGB").quantize(40, dither=Image.Dither.NONE)
    return image.convert("RGB").convert(mode)


def wide(channels, seed):
    """16 bits, high and low bytes both moving. [height, width, channels]"""
    small = np.random.default_rng(seed).integers(0, 65535, (4, 4, channels)).astype(np.float32)
    smooth = tf.image.resize(small, SIZE[::-1], "bicubic").numpy()
    return np.clip(smooth, 0, 65535).astype(np.uint16)


# What is written: file name: (mode of the picture, format, options).
FILES = {
    "png-1.png": ("1", "PNG", {}),
    "png-L.png": ("L", "PNG", {}),
    "png-L-transparent.png": ("L", "PNG", {"transparency": 90}),
    "png-LA.png": ("LA", "PNG", {}),
    "png-P.png": ("P", "PNG", {}),
    "png-P-transparent.png": ("P", "PNG", {"transparency": bytes(range(0, 200, 5))}),
    "png-RGB.png": ("RGB", "PNG", {}),
    "png-RGB-transparent.png": ("RGB", "PNG", {"transparency": (10, 20, 30)}),
    "png-RGBA.png": ("RGBA", "PNG", {}),
    "png-gamma.png": ("RGB", "PNG", {"gamma": 1.0}),
    "png-called.JPEG": ("RGB", "PNG", {}),
    "webp-lossless.webp": ("RGB", "WEBP", {"lossless": True}),
    "webp-lossy.webp": ("RGB", "WEBP", {"quality": 80}),
    "webp-RGBA.webp": ("RGBA", "WEBP", {"lossless": True, "exact": True}),
    "webp-RGBA-lossy.webp": ("RGBA", "WEBP", {"quality": 90, "exact": True}),
    "bmp-1.bmp": ("1", "BMP", {}),
    "bmp-L.bmp": ("L", "BMP", {}),
    "bmp-P.bmp": ("P", "BMP", {}),
    "bmp-RGB.bmp": ("RGB", "BMP", {}),
    "bmp-RGBA.bmp": ("RGBA", "BMP", {}),
    "gif-1.gif": ("1", "GIF", {}),
    "gif-L.gif": ("L", "GIF", {"interlace": 0}),
    "gif-P.gif": ("P", "GIF", {"interlace": 1}),
    "gif-P-transparent.gif": ("P", "GIF", {"transparency": 3}),
    "jpeg-CMYK.jpg": ("CMYK", "JPEG", {"quality": 90}),
    "jpeg-CMYK-progressive.jpg": ("CMYK", "JPEG", {"quality": 90, "progressive": True}),
    "jpeg-L.jpg": ("L", "JPEG", {}),
    "jpeg-L-progressive.jpg": ("L", "JPEG", {"progressive": True}),
    "jpeg-444.jpg": ("RGB", "JPEG", {"subsampling": "4:4:4"}),
    "jpeg-422-restart.jpg": ("RGB", "JPEG", {"subsampling": "4:2:2", "restart_marker_blocks": 3}),
    "jpeg-420-progressive.jpg": ("RGB", "JPEG", {"subsampling": "4:2:0", "progressive": True}),
    "jpeg-411.jpg": ("RGB", "JPEG", {"subsampling": "4:1:1"}),
    "jpeg-rgb.jpg": ("RGB", "JPEG", {"keep_rgb": True}),
    "jpeg-turned.jpg": ("RGB", "JPEG", {"exif": exif(6)}),
}


def gamma_chunk(gamma):
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", round(gamma * 100000)))
    return chunks


def save(mode, kind, options, seed, size=SIZE):
    options = dict(options)
    if "gamma" in options:
        options["pnginfo"] = gamma_chunk(options.pop("gamma"))
    file = io.BytesIO()
    picture(mode, seed, size).save(file, kind, **options)
    return file.getvalue()


def save_frames(kind, **options):
    """An animation: only its first frame is the picture."""
    file = io.BytesIO()
    picture("RGB", 1).save(file, kind, save_all=True, append_images=[picture("RGB", 2), picture("RGB", 3)], **options)
    return file.getvalue()


def save_wide(channels, seed):
    """A PNG of 16 bits and the high bytes of its colours."""
    pixels = wide(channels, seed)
    file = tf.io.encode_png(pixels).numpy()
    high = (pixels[..., :3 if channels > 2 else 1] >> 8).astype(np.uint8)
    rgb = np.ascontiguousarray(np.broadcast_to(high, (*high.shape[:2], 3)))
    if channels > 1:  # 16 bits of grey alone are another thing for Pillow, which cuts them off at 255
        assert np.array_equal(rgb, decode_with_pillow(file)), f"{channels} channels of 16 bits: Pillow keeps other bits"
    return file, rgb


def make_files():
    """{file name: (bytes, RGB pixels)}."""
    files = {name: save(*what, seed) for seed, (name, what) in enumerate(FILES.items())}
    files["gif-frames.gif"] = save_frames("GIF")
    files["webp-frames.webp"] = save_frames("WEBP", lossless=True)
    made = {name: (file, decode_with_pillow(file)) for name, file in files.items()}
    for channels, mode in enumerate(("L", "LA", "RGB", "RGBA"), 1):
        made[f"png-{mode}-16.png"] = save_wide(channels, channels)
    return made


def expect(files):
    """{file name: (bytes, pixels of the record)}."""
    return {name: (file, rgb if name.startswith("jpeg-") and "CMYK" not in name else through_jpeg(rgb))
            for name, (file, rgb) in files.items()}


def expect_small(files):
    size = tuple(round(side * MAX_SIDE / max(SIZE)) for side in SIZE)
    return {name: (file, through_jpeg(np.asarray(Image.fromarray(rgb).resize(size, Image.BILINEAR))))
            for name, (file, rgb) in files.items()}


def expect_turned(size):
    """JPEGs with EXIF's eight orientations; of whole blocks, the pixels themselves, as exif_transpose() turns them."""
    made = {}
    for orientation in range(1, 9):
        file = save("RGB", "JPEG", {"exif": exif(orientation)}, orientation, size)
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
        whole = size == WHOLE_BLOCKS or orientation in (1, 5)
        made[f"turned-{orientation}.jpg"] = (file, rgb if whole else through_jpeg(rgb))
    return made


def check(bit_shard, root, files, *options, mean=0.0):
    """`mean`: how far a record may be from what is expected, on average."""
    (root / "files" / "odd").mkdir(parents=True)
    for name, (file, _) in files.items():
        (root / "files" / "odd" / name).write_bytes(file)
    records = read_records(convert(bit_shard, root / "files", root / "out", *options))
    assert sorted(records) == sorted(f"odd/{name}" for name in files), "the records are not the files"
    for name, (_, expected) in files.items():
        record = records[f"odd/{name}"]
        pixels = decode_with_pillow(record.jpeg)
        assert record.size == (pixels.shape[1], pixels.shape[0]), f"{name}: its record says {record.size}"
        assert pixels.shape == expected.shape, f"{name}: {pixels.shape}, for Pillow {expected.shape}"
        difference = np.abs(pixels.astype(int) - expected)
        assert difference.mean() <= mean, (f"{name}: other pixels than Pillow's, by {difference.mean():.2f} on average "
                                           f"and up to {difference.max()}")


def main():
    # Pillow's advice about palettes with transparency, which is dropped here.
    warnings.filterwarnings("ignore", message="Palette images with Transparency")
    bit_shard = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        files = make_files()
        check(bit_shard, root / "plain", expect(files))
        check(bit_shard, root / "small", expect_small(files), "--max-side", str(MAX_SIDE))
        # Turned without loss, the colours between two samples are still rounded from the other side.
        for size in (SIZE, WHOLE_BLOCKS):
            check(bit_shard, root / f"turned-{size[0]}", expect_turned(size), "--exif", "apply", mean=0.2)
        print(f"{len(files)} kinds of files, as they are, shrunk and turned: Pillow's pixels")


if __name__ == "__main__":
    main()
