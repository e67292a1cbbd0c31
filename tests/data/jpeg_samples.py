#!/usr/bin/env python3
"""Writes tests/data/jpeg_by_pil.h: small JPEG files of every kind that PIL writes, and the pixels that PIL reads from them.

    tests/data/jpeg_samples.py >tests/data/jpeg_by_pil.h

PIL decodes with libjpeg-turbo; the pixels are the same with PIL 9.4 (libjpeg-turbo 2.1.5) and PIL 13.0 (3.2.0).
"""
import hashlib
import io
import sys

import PIL
from PIL import Image, features

WIDTH, HEIGHT = 21, 13  # not whole blocks, and odd, so that the last pixel of a halved channel covers less


def picture(channels):
    """Waves of different length in each channel, with a hard edge."""
    values = [(40 * c + 7 * x * (c + 1) + 11 * y * (3 - c) + (120 if x > 12 else 0)) % 256
              for y in range(HEIGHT) for x in range(WIDTH) for c in range(channels)]
    return Image.frombytes({1: "L", 3: "RGB", 4: "CMYK"}[channels], (WIDTH, HEIGHT), bytes(values))


SAMPLES = [
    ("grey", 1, {}),
    ("4:4:4", 3, {"subsampling": 0}),
    ("4:2:2", 3, {"subsampling": 1}),
    ("4:2:0", 3, {"subsampling": 2}),
    ("4:2:0, quality 10", 3, {"subsampling": 2, "quality": 10}),
    ("4:2:0, progressive", 3, {"subsampling": 2, "progressive": True}),
    ("grey, progressive", 1, {"progressive": True}),
    ("CMYK", 4, {}),
    ("CMYK, progressive", 4, {"progressive": True}),
]


def literal(data):
    digits = data.hex()
    return "\n".join(f'     "{digits[at:at + 98]}"' for at in range(0, len(digits), 98))


def main():
    print(f"""// Written by tests/data/jpeg_samples.py with PIL {PIL.__version__} and libjpeg-turbo {features.version("libjpeg_turbo")}.
#pragma once

#include <string_view>

namespace rcnn::fixtures {{

struct JpegByPil {{
  std::string_view kind, file;  // the bytes are hexadecimal
  std::string_view sha256;      // of the RGB bytes that PIL reads
}};

constexpr int kWidthByPil = {WIDTH}, kHeightByPil = {HEIGHT};

// clang-format off
inline constexpr JpegByPil kJpegByPil[] = {{""")
    for kind, channels, options in SAMPLES:
        file = io.BytesIO()
        picture(channels).save(file, "JPEG", **{"quality": 85, "optimize": True} | options)
        pixels = Image.open(file).convert("RGB").tobytes()
        print(f'    {{"{kind}",\n{literal(file.getvalue())},\n     "{hashlib.sha256(pixels).hexdigest()}"}},')
    print("};\n// clang-format on\n\n}  // namespace rcnn::fixtures")


if __name__ == "__main__":
    sys.exit(main())
