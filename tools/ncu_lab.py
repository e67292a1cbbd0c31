#!/usr/bin/env python3
"""Counts what one launch of a kernel did on a GPU: ten counters of NVIDIA's Nsight Compute (ncu), with what they mean.

    tools/ncu_lab.py roi_align=warp_per_bin --case 2
    tools/ncu_lab.py --program build/rcnn conv2d=implicit_gemm --case 12 -- --clock-control none

runs `rcnn lab time OP=VARIANT --case N --once` under ncu and prints a table for each kernel that the variant launched.
What follows `--` goes to ncu. Reading counters needs the right to do so: NVIDIA's page on ERR_NVGPUCTRPERM says how.
"""

import argparse
import csv
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# (name in ncu, what it is, what to make of it)
COUNTERS = [
    ("gpu__time_duration.sum", "time", "of this launch, with the clock that ncu sets"),
    ("sm__throughput.avg.pct_of_peak_sustained_elapsed", "SM",
     "share of the peak of the busiest unit of the multiprocessors: above 80 % the arithmetic is the limit"),
    ("gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed", "memory",
     "the same of caches and memory. If both are low, latency is the limit: more warps, or more loads in flight"),
    ("dram__bytes.sum", "DRAM traffic", "compare with the bytes that `lab time` counts: more means that data is read twice"),
    ("lts__t_sector_hit_rate.pct", "L2 hits", "of the sectors that the first-level caches asked for"),
    ("sm__warps_active.avg.pct_of_peak_sustained_active", "occupancy", "warps on a multiprocessor, of those it can have"),
    ("l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio", "sectors per load",
     "32-byte sectors that a warp's load touches: 4 if 32 lanes read neighbouring floats, 16 with float4, 32 at worst"),
    ("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum", "bank conflicts",
     "extra turns of accesses to shared memory: 0 is the aim"),
    ("smsp__thread_inst_executed_per_inst_executed.ratio", "threads per instruction",
     "32 without divergence"),
    ("sm__inst_executed_pipe_tensor.sum", "tensor instructions", "0: the tensor cores were not used"),
]


def kernels(text):
    """[(kernel, {metric: "value unit"})] from ncu's CSV, which other output may surround."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        error = next((line for line in lines if "==ERROR==" in line), "ncu printed no table")
        raise SystemExit(f"ncu_lab.py: {error}")
    found = {}
    for row in csv.DictReader(line for line in lines[start:] if line.startswith('"')):
        launch = found.setdefault(row["ID"], (row["Kernel Name"], {}))
        launch[1][row["Metric Name"]] = f"{row['Metric Value']} {row['Metric Unit']}".strip()
    return list(found.values())


def table(launches):
    """The counters of each launch, with their meaning."""
    lines = []
    for name, metrics in launches:
        lines.append(name)
        for counter, what, meaning in COUNTERS:
            lines.append(f"  {what:<24}{metrics.get(counter, 'not counted'):>20}  {meaning}")
    return "\n".join(lines)


def command(ncu, program, words, ncu_options):
    """What is run. The program marks the variant's launches with a range; those that make its inputs are not in it."""
    return [ncu, "--nvtx", "--nvtx-include", "lab_once/", "--metrics", ",".join(counter for counter, _, _ in COUNTERS),
            "--csv", *ncu_options, str(program), "lab", "time", *words, "--device", "cuda", "--once"]


def main():
    own, ncu_options = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, ncu_options = own[:at], own[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="OP=VARIANT", help="what to run")
    parser.add_argument("--case", default="0", help="the number of the case in the op's table [0]")
    parser.add_argument("--program", type=Path, default=ROOT / "build/rcnn", help="the program [build/rcnn]")
    options = parser.parse_args(own)
    ncu = shutil.which("ncu")
    if ncu is None:
        raise SystemExit("ncu_lab.py: ncu is not on the PATH; it comes with the CUDA toolkit (nsight-compute)")
    words = [*options.names, "--case", options.case]
    done = subprocess.run(command(ncu, options.program, words, ncu_options), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise SystemExit(done.returncode)
    print(table(kernels(done.stdout)))


if __name__ == "__main__":
    main()
