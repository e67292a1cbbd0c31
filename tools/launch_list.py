#!/usr/bin/env python3
"""Prints the kernels that one training step and one detection of a model launch, and what its ops read and write.

The simulated device counts kernels and runs none (RCNN_CUDA_SIM=list, docs/cuda-without-a-gpu.md). Needs
`make CUDA=sim build/release-sim/rcnn`. Options that this script does not know go to `rcnn bench model` and to
`rcnn profile`. The bytes of an op are those of its inputs and outputs, each counted once: what it must move at least,
without packing and without what a cache is too small to keep.
"""
import argparse
import os
import re
import subprocess
import sys


def output_of(command):
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RCNN_CUDA_SIM": "list"})
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr}")
    return run


def launches(program, what, steps, options):
    """{kernel: (launches, blocks)} of `steps` steps after one that is not counted apart."""
    run = output_of([program, "bench", "model", "--what", what, "--steps", str(steps), "--warm-up", "1", *options])
    rows = re.findall(r"^ *(\d+) +(\d+)  (.+)$", run.stderr, re.MULTILINE)
    return {kernel: (int(count), int(blocks)) for count, blocks, kernel in rows}


def print_difference(title, once, twice):
    rows = {kernel: [b - a for a, b in zip(once.get(kernel, (0, 0)), counts)] for kernel, counts in twice.items()}
    print(f"{title}\n\n| launches | blocks | kernel |\n| ---: | ---: | --- |")
    for kernel, (count, blocks) in sorted(rows.items(), key=lambda row: (row[0] == "in all", -row[1][0], row[0])):
        if count:
            print(f"| {count} | {blocks} | {kernel} |")
    print()


def print_ops(title, program, what, options):
    """The ops of one step by the megabytes that they read and write, from the table of `rcnn profile`."""
    run = output_of([program, "profile", "--what", what, "--steps", "1", "--warm-up", "1", "--by", "op", "--rows", "10000",
                     *options])
    number = r"([\d.]+|-)"
    rows = re.findall(rf"^(\S+ \(\S+\)) +(\d+) +{number} +{number} +{number} +{number} ", run.stdout, re.MULTILINE)
    if not rows:
        sys.exit(f"rcnn profile printed no table of ops:\n{run.stdout}")
    ops = [(float(mb.replace("-", "0")), float(gflop.replace("-", "0")), int(calls), op)
           for op, calls, _, _, gflop, mb in rows]
    print(f"{title}\n\n| MB | GFLOP | calls | op (variant) |\n| ---: | ---: | ---: | --- |")
    for mb, gflop, calls, op in sorted(ops, reverse=True):
        print(f"| {mb:.1f} | {gflop:.1f} | {calls} | {op} |")
    print(f"| {sum(op[0] for op in ops):.1f} | {sum(op[1] for op in ops):.1f} | {sum(op[2] for op in ops)} | in all |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release-sim/rcnn")
    parser.add_argument("--what", default="detect,train_step", help="[detect,train_step]")
    arguments, options = parser.parse_known_args()
    for what in arguments.what.split(","):
        counts = [launches(arguments.program, what, steps, ["--device", "cuda", *options]) for steps in (1, 2)]
        print_difference(what, *counts)
        print_ops(f"{what}, by op", arguments.program, what, ["--device", "cuda", *options])


if __name__ == "__main__":
    main()
