"""The time of a step of one process with one and with two threads, and of two with one thread each, with MPI and without.

    python3 -B tests/ranks/step_time.py --program build/rcnn

From `train_seconds` of the summaries of a short and a longer run, so that what only the first steps do does not count.
Prints the load of the machine, the median and the shortest of several repetitions, and what a step sends.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import runs

SETTINGS = {"batch": 1, "accumulate": 2, "workers": 1, "val": "none"}
MODELS = {"nano-fpn": ({"short-side": 240}, 8, 40), "resnet18-fpn": ({"short-side": 160}, 3, 9)}  # short, longer run
# Processes, threads of each, and whether MPI connects them.
WAYS = {"1 process, 1 thread": (1, 1, True), "1 process, 2 threads": (1, 2, True),
        "2 processes, 1 thread each": (2, 1, True), "the same without MPI": (2, 1, False)}


def train_seconds(program, data, out, settings, processes, threads, mpi):
    words = runs.train(program, data, out, settings)
    if mpi:
        output, _ = runs.run((runs.mpirun(processes) if processes > 1 else []) + words, threads=threads)
    else:
        output, _ = runs.run_without_mpi(words, processes, out.parent / "meet")
    summary = json.loads((out / "summary.json").read_text())
    return summary["train_seconds"], [line for line in output.splitlines() if " sent " in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="rcnn")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--single-copy", action="store_true",
                        help="processes copy from each other directly (CMA), which not every container allows")
    arguments = parser.parse_args()
    program = Path(arguments.program).resolve()
    if arguments.single_copy:
        runs.MPI_ENVIRONMENT["OMPI_MCA_btl_vader_single_copy_mechanism"] = "cma"
    if not runs.has_mpi(program):
        print("skipped: this build has no MPI, or there is no mpirun")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        runs.make_scenes(program, folder / "data", train_images=8, val_images=1, width=320, height=240)
        for model, (more, short, longer) in MODELS.items():
            times, sent, number = {way: [] for way in WAYS}, [], 0
            for _ in range(arguments.repeat):
                for way, (processes, threads, mpi) in WAYS.items():
                    seconds = []
                    for steps in (short, longer):
                        number += 1
                        settings = SETTINGS | more | {"model": model, "steps": steps}
                        out = folder / f"{model} {number}"
                        taken, lines = train_seconds(program, folder / "data", out, settings, processes, threads,
                                                     mpi)
                        seconds.append(taken)
                        sent = lines or sent
                    times[way].append((seconds[1] - seconds[0]) / (longer - short))
            print(f"{model}, two batches of one image in a step; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            for way, found in times.items():
                print(f"  {way:28} {1000 * statistics.median(found):7.1f} ms a step (median of {len(found)}, "
                      f"shortest {1000 * min(found):.1f})")
            print("  " + "\n  ".join(sent), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
