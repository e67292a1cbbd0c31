#!/usr/bin/env python3
"""Checks and measures the project on an NVIDIA GPU in one call of at most seven minutes.

    tools/gpu_first.py                 all stages; the table is printed last
    tools/gpu_first.py --rehearse      the same stages on a machine without a GPU: a simulated one takes its place

For a GPU that is at hand for a short time. It runs what `make gpu-bundle` built, in the folder where that archive was
unpacked, or what tools/gpu_check.py built, and needs a driver and Python; stages that need PyTorch, compute-sanitizer or
ncu are skipped where these are missing. Every stage has a time limit, with what those before it have left, and what it
has found by then is kept. The results are written after each stage. The exit status is 0 if no stage failed.

Stages, with their limits in seconds:
{stages}
"""

import argparse
import os
import sys

from gpu import entry
from gpu.machine import ROOT, SIMULATED, Setup, query_gpu
from gpu.runner import Failure
from gpu.stages import list_of, stages_of

TOTAL = 420  # seconds


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.format(stages=list_of("first")),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="on a simulated GPU, with time limits of its own")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help=f"of the whole run [{TOTAL}]")
    entry.add_options(parser, "first", "gpu-first")
    return entry.parse(parser, "first")


def main():
    options = parse_options()
    form = "rehearsal" if options.rehearse else "first"
    os.chdir(ROOT)  # tests open files of the project
    try:
        gpu = SIMULATED if options.rehearse else query_gpu()
        setup = Setup(form, gpu, options.results, options.python)
        setup.require_programs()
    except Failure as failure:
        can_rehearse = not options.rehearse and not (ROOT / "bin").is_dir()
        hint = "; --rehearse goes through the stages with a simulated GPU" if can_rehearse else ""
        entry.exit_with("gpu-first", f"{failure}{hint}")
    stages = stages_of(form, options.only)
    total = options.limit or (sum(stage.limits[form] for stage in stages) if options.rehearse else TOTAL)
    print(f"{gpu['name']}, sm_{gpu['arch']}, driver {gpu['driver']}, {setup.cores} cores; at most {total:.0f} s")
    sys.exit(entry.run(setup, stages, total, options.results))


if __name__ == "__main__":
    main()
