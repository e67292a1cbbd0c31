"""Trains with different numbers of processes and compares the bytes that are left with those of one process.

    python3 -B tests/ranks/equal_bytes.py --program build/rcnn [--short] [--without-mpi]

Compared are all files of a run: weights, the tensors and metadata of the checkpoint, metrics, detections, proposals and
summary; of the last the times are left out, of the checkpoint too. Prints a table; exits with 1 if something differs.
--short compares fewer runs, in less than a minute. --without-mpi lets the processes meet in a folder; so do builds without
MPI.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

import runs

SMALL = {"batch": 1, "steps": 3, "short-side": 64, "long-side": 96, "workers": 1, "checkpoint-every": 2, "warmup": 1,
         "rpn-post-nms-top-n-train": 60, "rpn-post-nms-top-n-test": 40, "box-head-size": 32}
MODELS = {
    "nano-fpn, trained BatchNorm": {"model": "nano-fpn", "norm": "batch"},
    "nano-fpn, --sync-bn": {"model": "nano-fpn", "norm": "batch", "sync-bn": None},
    "resnet18-fpn, frozen norm": {"model": "resnet18-fpn", "norm": "frozen", "lr": 0.0001},
    "resnet18-fpn, GroupNorm": {"model": "resnet18-fpn", "norm": "group", "steps": 2},
    "vgg16, dropout": {"model": "vgg16", "box-dropout": 0.5, "steps": 2},
    "nano-fpn, alternating": {"model": "nano-fpn", "mode": "alternating"},
}
RANKS = {4: (1, 2, 3, 4), 6: (1, 2, 3, 5)}  # for each number of batches in a step
SHORT = {"nano-fpn, trained BatchNorm": {6: (2, 5)}, "nano-fpn, --sync-bn": {4: (3,)},
         "nano-fpn, alternating": {4: (3,)}}


def losses(folder):
    """The losses of all steps, also of the parts of an alternating run."""
    lines = [json.loads(line) for f in sorted(folder.rglob("metrics.jsonl")) for line in f.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


class Table:
    FORM = "{:30} {:>2} {:>2} {:>6} {:>8} {:>6} {:>11} {:>6}  {}"

    def __init__(self):
        self.failed = False
        print(self.FORM.format("model", "M", "N", "losses", "last", "files", "detections", "s", "result"), flush=True)

    def row(self, name, batches, ranks, folder, seconds, differing):
        found = losses(folder)
        if not all(isinstance(x, float) and math.isfinite(x) for x in found):
            differing = differing + ["a loss is not finite"]
        self.failed |= bool(differing)
        detections = len(json.loads((folder / "detections.json").read_text()))
        print(self.FORM.format(name, batches, ranks, len(found), f"{found[-1]:.4f}", len(runs.files_of(folder)), detections,
                               f"{seconds:.1f}", "differ: " + ", ".join(differing) if differing else "equal"), flush=True)


def check_that_differences_are_found(program, data, folder, settings, one):
    """Another seed must give other weights, losses and detections: otherwise the comparison would see nothing."""
    runs.run(runs.train(program, data, folder, settings | {"seed": 2}))
    found = runs.differences(one, folder)
    for file in ("last.safetensors", "best.safetensors", "metrics.jsonl", "detections.json"):
        if file not in found:
            raise SystemExit(f"{file} is the same with another seed: this comparison cannot fail")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="rcnn")
    parser.add_argument("--short", action="store_true", help="fewer runs")
    parser.add_argument("--without-mpi", action="store_true", help="the processes meet in a folder")
    parser.add_argument("--only", default="", help="the models whose name contains this")
    arguments = parser.parse_args()
    program = Path(arguments.program).resolve()
    with_mpi = not arguments.without_mpi and runs.has_mpi(program)
    if not with_mpi:
        print("without MPI: the processes meet in a folder")
    plan = SHORT if arguments.short else {name: RANKS for name in MODELS}
    table, checked = Table(), False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = folder / "data"
        runs.make_scenes(program, data, train_images=8, val_images=3)
        for name, ranks_of in plan.items():
            if arguments.only not in name:
                continue
            for batches, all_ranks in ranks_of.items():
                settings = SMALL | MODELS[name] | {"accumulate": batches}
                one = folder / f"{name} {batches}"
                _, seconds = runs.run(runs.train(program, data, one, settings))
                table.row(name, batches, "-", one, seconds, [])
                if not checked:
                    check_that_differences_are_found(program, data, folder / "other seed", settings, one)
                    checked = True
                for ranks in all_ranks:
                    out = folder / f"{name} {batches} {ranks}"
                    words = runs.train(program, data, out, settings)
                    _, seconds = (runs.run(runs.mpirun(ranks) + words) if with_mpi else
                                  runs.run_without_mpi(words, ranks, folder / "meet"))
                    table.row(name, batches, ranks, out, seconds, runs.differences(one, out))
    return 1 if table.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
