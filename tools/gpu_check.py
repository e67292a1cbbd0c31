#!/usr/bin/env python3
"""Builds, tests and times the project on a machine with an NVIDIA GPU: the thorough form of gpu_first.py.

    tools/gpu_check.py                        runs every stage, one after another
    tools/gpu_check.py --only build,ops       runs these stages; the results of the others stay as they were

Needs nvcc, g++, make and Python, but no package registry: headers and libraries come from third_party_bundle/
if `make deps-bundle` has filled it. Writes the results to bench/results/<gpu>.json and tables of them to
bench/results/<gpu>.md; the output of every command is kept in out/gpu-check/log.txt. A stage that fails or exceeds
its time limit is reported, and the next one runs. The exit status is 0 if no stage failed.

Stages, with their limits in seconds:
{stages}
"""

import argparse
import dataclasses
import os
import sys

from gpu import entry
from gpu.machine import ROOT, Setup, query_gpu
from gpu.runner import Failure
from gpu.stages import list_of, stages_of


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.format(stages=list_of("check")),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="time limit of each stage, instead of its own")
    parser.add_argument("--deps", help="folder of headers and libraries [third_party_bundle, if it exists]")
    entry.add_options(parser, "check", "bench/results")
    return entry.parse(parser, "check")


def main():
    options = parse_options()
    os.chdir(ROOT)
    try:
        gpu = query_gpu()
        setup = Setup("check", gpu, ROOT / "out/gpu-check", options.python, options.deps)
        if options.only and "build" not in options.only:
            setup.require_programs()
    except Failure as failure:
        entry.exit_with("gpu-check", failure)
    print(f"{gpu['name']}, sm_{gpu['arch']}, driver {gpu['driver']}, CUDA {setup.toolkit.get('cuda', 'not found')}")
    stages = stages_of("check", options.only)
    if options.limit:
        stages = [dataclasses.replace(stage, limits={"check": options.limit}) for stage in stages]
    sys.exit(entry.run(setup, stages, sum(stage.limits["check"] for stage in stages), options.results))


if __name__ == "__main__":
    main()
