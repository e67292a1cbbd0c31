"""Makes numbers by a formula from a name and an index, so that no weights and no images need to be stored.

tests/parity/formula.cpp computes the same bits in C++. With h(name, i) = mix(fnv1a(name) + 0x9E3779B1 i), all in 32
bits, element i of a weight, in the layout of torchvision's files, is

    offset + (int(h >> 8) - 2^23) * scale           one product and one sum, each rounded to f32

which is uniformly distributed in offset +- 2^23 scale. `SPREADS` has both numbers for every kind of tensor, chosen so
that activations stay of the order of one throughout the network, scores vary and boxes move moderately.
"""

import math

import numpy

# (part of the name, offset, half width, whether the half width is divided by the square root of the number of inputs).
# The first entry whose part occurs in the name is used. Biases below zero keep activations sparse; otherwise all
# positions look the same in deep layers.
SPREADS = (
    ("running_var", 1.0, 0.5, False),
    ("running_mean", 0.0, 0.2, False),
    ("bn1.weight", 1.0, 0.25, False),
    ("bn2.weight", 0.5, 0.2, False),
    ("bn3.weight", 0.9, 0.2, False),
    ("downsample.1.weight", 1.0, 0.2, False),
    ("bn1.bias", -0.2, 0.2, False),
    ("bn2.bias", -0.2, 0.2, False),
    ("bn3.bias", -0.2, 0.2, False),
    ("bias", -0.1, 0.2, False),
    (".fpn.", 0.0, 0.85, True),
    ("cls_logits.weight", 0.0, 1.2, True),
    ("head.bbox_pred.weight", 0.0, 0.3, True),
    ("cls_score.weight", 0.0, 2.5, True),
    ("predictor.bbox_pred.weight", 0.0, 1.5, True),
    ("", 0.0, 2.45, True),  # roughly preserves the mean square after a ReLU
)


def bits(name, count):
    """h(name, i) for all i below `count`, uint32."""
    start = 2166136261
    for byte in name.encode():
        start = (start ^ byte) * 16777619 & 0xFFFFFFFF
    x = numpy.arange(count, dtype=numpy.uint32)
    x *= numpy.uint32(0x9E3779B1)
    x += numpy.uint32(start)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x85EBCA6B)
    x ^= x >> numpy.uint32(13)
    x *= numpy.uint32(0xC2B2AE35)
    x ^= x >> numpy.uint32(16)
    return x


def weight(salt, name, shape):
    """The tensor `name`, f32. `salt` is a word; models with different salts have different weights."""
    _, offset, width, by_inputs = next(rule for rule in SPREADS if rule[0] in name)
    if by_inputs:
        width /= math.sqrt(math.prod(shape[1:]))
    values = (bits(f"{salt}/{name}", math.prod(shape)) >> numpy.uint32(8)).astype(numpy.int32) - (1 << 23)
    values = values.astype(numpy.float32) * numpy.float32(width / (1 << 23)) + numpy.float32(offset)
    return values.reshape(shape)


def image(salt, index, height, width):
    """Image `index` of a batch, (height, width, 3) bytes: blocks of 16 x 16 pixels with noise."""
    y, x, c = numpy.indices((height, width, 3))
    blocks = bits(f"{salt}/blocks{index}", (height + 15) // 16 * ((width + 15) // 16) * 3) >> numpy.uint32(24)
    block = blocks[(y // 16 * ((width + 15) // 16) + x // 16) * 3 + c]
    noise = bits(f"{salt}/noise{index}", height * width * 3).reshape(height, width, 3) >> numpy.uint32(24)
    return ((3 * block + noise) // 4).astype(numpy.uint8)
