#!/usr/bin/env python3
"""Writes tests/data/webp_tiff_by_pil.h: small WebP and compressed TIFF files that PIL writes, and the pixels that PIL reads
from them.

    tests/data/webp_tiff_samples.py >tests/data/webp_tiff_by_pil.h
"""
import hashlib
import io
import sys

import PIL
from PIL import Image, ImageOps, features

WIDTH, HEIGHT = 21, 13  # odd, so that the last pixel of a halved channel covers less


def picture(channels):
    """Waves of different length in each channel, with a hard edge."""
    values = [(40 * c + 7 * x * (c + 1) + 11 * y * (3 - c) + (120 if x > 12 else 0)) % 256
              for y in range(HEIGHT) for x in range(WIDTH) for c in range(channels)]
    return Image.frombytes({1: "L", 3: "RGB", 4: "RGBA"}[channels], (WIDTH, HEIGHT), bytes(values))


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


WEBP = [
    ("lossy", 3, {"quality": 80}),
    ("lossy, quality 10", 3, {"quality": 10}),
    ("lossless", 3, {"lossless": True}),
    ("lossy with transparency", 4, {"quality": 80}),
    ("lossless with transparency", 4, {"lossless": True}),
    ("lossy, turned", 3, {"quality": 80, "exif": exif(6)}),
    ("lossless with transparency, turned", 4, {"lossless": True, "exif": exif(3)}),
]
TIFF = [
    ("LZW", 3, {"compression": "tiff_lzw"}),
    ("deflate", 4, {"compression": "tiff_adobe_deflate"}),
    ("PackBits, grey", 1, {"compression": "packbits"}),
    ("JPEG", 3, {"compression": "jpeg", "quality": 85}),
    ("CCITT group 4", 1, {"compression": "group4"}),
]


def over_white(image):
    """The RGB bytes of what is seen."""
    image = ImageOps.exif_transpose(image)
    if image.mode != "RGBA":
        return image.convert("RGB").tobytes()
    return bytes((c * pixel[3] + 255 * (255 - pixel[3]) + 127) // 255 for pixel in image.getdata() for c in pixel[:3])


def literal(data):
    digits = data.hex()
    return "\n".join(f'     "{digits[at:at + 98]}"' for at in range(0, len(digits), 98))


def print_samples(name, form, samples):
    print(f"inline constexpr FileByPil {name}[] = {{")
    for kind, channels, options in samples:
        file = io.BytesIO()
        image = picture(channels)
        if options.get("compression") == "group4":
            image = image.convert("1")
        image.save(file, form, **options)
        image = Image.open(file)
        width, height = ImageOps.exif_transpose(image).size
        print(f'    {{"{kind}",\n{literal(file.getvalue())},\n     {width}, {height}, '
              f'"{hashlib.sha256(over_white(image)).hexdigest()}"}},')
    print("};\n")


def main():
    print(f"""// Written by tests/data/webp_tiff_samples.py with PIL {PIL.__version__}, libwebp {features.version("webp")} and libtiff {features.version("libtiff")}.
#pragma once

#include <string_view>

namespace rcnn::fixtures {{

struct FileByPil {{
  std::string_view kind, file;  // the bytes are hexadecimal
  int width, height;            // as seen
  std::string_view sha256;      // of the RGB bytes that PIL reads, turned and over white
}};

// clang-format off""")
    print_samples("kWebpByPil", "WEBP", WEBP)
    print_samples("kTiffByPil", "TIFF", TIFF)
    file = io.BytesIO()
    picture(3).save(file, "WEBP", save_all=True, append_images=[picture(3).transpose(Image.Transpose.ROTATE_180)])
    print(f"inline constexpr std::string_view kAnimatedWebp =\n{literal(file.getvalue())};")
    print("// clang-format on\n\n}  // namespace rcnn::fixtures")


if __name__ == "__main__":
    sys.exit(main())
