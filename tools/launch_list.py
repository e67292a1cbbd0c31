#!/usr/bin/env python3
"""Prints the kernels that one training step and one detection of a model launch, without a GPU.

The simulated device counts them and runs none (RCNN_CUDA_SIM=list, docs/cuda-without-a-gpu.md). Needs
`make CUDA=sim build/release-sim/rcnn`. Options that this script does not know go to `rcnn bench model`.
"""
import argparse
import os
import re
import subprocess
import sys


def launches(program, what, steps, options):
    """{kernel: (launches, blocks)} of `steps` steps after one that is not counted apart."""
    command = [program, "bench", "model", "--what", what, "--steps", str(steps), "--warm-up", "1", *options]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RCNN_CUDA_SIM": "list"})
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr}")
    rows = re.findall(r"^ *(\d+) +(\d+)  (.+)$", run.stderr, re.MULTILINE)
    return {kernel: (int(count), int(blocks)) for count, blocks, kernel in rows}


def print_difference(title, once, twice):
    rows = {kernel: [b - a for a, b in zip(once.get(kernel, (0, 0)), counts)] for kernel, counts in twice.items()}
    print(f"{title}\n\n| launches | blocks | kernel |\n| ---: | ---: | --- |")
    for kernel, (count, blocks) in sorted(rows.items(), key=lambda row: (row[0] == "in all", -row[1][0], row[0])):
        if count:
            print(f"| {count} | {blocks} | {kernel} |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release-sim/rcnn")
    parser.add_argument("--what", default="detect,train_step", help="[detect,train_step]")
    arguments, options = parser.parse_known_args()
    for what in arguments.what.split(","):
        counts = [launches(arguments.program, what, steps, ["--device", "cuda", *options]) for steps in (1, 2)]
        print_difference(what, *counts)


if __name__ == "__main__":
    main()
