#!/usr/bin/env python3
"""What a GPU reaches through PyTorch: the bandwidth of a copy, and the rate of an 8192 x 8192 x 8192 matrix product.

Prints one JSON object per line: {"what", "rate", "unit"}. Operands are random, because zeros are multiplied faster. A
copy counts the bytes read and written.
"""

import json
import sys

import torch

from torch_ops import elapsed, set_precision

SIDE = 8192
COPY = 2 << 30  # bytes


def best(run, count=10):
    """Seconds of the fastest run."""
    for _ in range(3):
        run()
    return min(elapsed(run) for _ in range(count)) * 1e-3


def show(what, rate, unit):
    print(json.dumps({"what": what, "rate": rate, "unit": unit}), flush=True)


def main():
    if not torch.cuda.is_available():
        sys.exit("torch_probe.py: PyTorch finds no GPU.")
    free, _ = torch.cuda.mem_get_info()
    size = min(COPY, free // 4)
    source = torch.empty(size, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    show("copy", 2 * size / best(lambda: target.copy_(source)) * 1e-9, "GB/s")
    del source, target
    for precision, dtype in (("bf16", torch.bfloat16), ("tf32", torch.float32), ("f32", torch.float32)):
        set_precision(precision)
        a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=dtype) for _ in range(2))
        seconds = best(lambda: torch.mm(a, b))
        show(f"cuBLAS {precision}", 2 * SIDE ** 3 / seconds * 1e-12, "TFLOP/s")


if __name__ == "__main__":
    main()
