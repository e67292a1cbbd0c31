#!/usr/bin/python3
"""Times this program and torchvision alternately (A B A B ...), on the same model and with as many threads.

    bench/compare_torchvision.py                            nano-fpn, batch 4, 240x320, five rounds
    bench/compare_torchvision.py --model resnet18-fpn       batch 2, 320x320; detection on 480x640
    bench/compare_torchvision.py --at-least 2               exits with 1 unless both are at least twice as fast

Each of the two commands prints one JSON object per line, {"what": "train_step" | "detect", "seconds": [...]}.
The figure of a round is the median of its calls, and the overall figure is the median of the rounds. The ratio
is torchvision's time divided by ours.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHATS = ("train_step", "detect")
# The shapes on which each model is timed. Both sides have random weights. In the ResNets, batch normalisation, the stem
# and layer1 are frozen; in vgg16, the first four convolutions. Models with a feature pyramid train on 512 RoIs per image
# and detect on 1000 (nano-fpn: on 64 and 200), the others on 128 and 300.
SHAPES = {"nano-fpn": {"batch": 4, "height": 240, "width": 320},
          "resnet18-fpn": {"batch": 2, "height": 320, "width": 320, "detect-height": 480, "detect-width": 640},
          "resnet18-c4": {"batch": 2, "height": 240, "width": 320},
          "resnet50-fpn": {"batch": 1, "height": 480, "width": 640, "detect-height": 800, "detect-width": 1333},
          "vgg16": {"batch": 1, "height": 480, "width": 640, "detect-height": 600, "detect-width": 800}}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(SHAPES), default="nano-fpn")
    parser.add_argument("--rounds", type=int, default=5, help="number of runs of each program")
    parser.add_argument("--threads", type=int, default=2, help="threads of OpenMP and OpenBLAS, for both programs")
    parser.add_argument("--batch", type=int, help="images per training step")
    parser.add_argument("--height", type=int, help="height of the training images")
    parser.add_argument("--width", type=int, help="width of the training images")
    parser.add_argument("--detect-height", type=int, help="height of the image to detect on")
    parser.add_argument("--detect-width", type=int, help="width of the image to detect on")
    parser.add_argument("--classes", type=int, default=3, help="number of classes, without the background")
    parser.add_argument("--steps", type=int, default=20, help="timed calls in each run")
    parser.add_argument("--ours", help="command to run instead of `build/rcnn bench model ...`")
    parser.add_argument("--theirs", help="command to run instead of `torchvision_models.py ...`")
    parser.add_argument("--at-least", type=float, metavar="RATIO", help="exit with 1 if a ratio is below this")
    parser.add_argument("--detect-at-least", type=float, metavar="RATIO",
                        help="minimum ratio of detection, instead of that of --at-least")
    parser.add_argument("--json", metavar="FILE", help="write all measured times to this file")
    return parser.parse_args()


def commands(options):
    """The two commands as lists of words: {"ours": ..., "torchvision": ...}."""
    shape = {"model": options.model, **SHAPES[options.model], "classes": options.classes, "steps": options.steps}
    for key in ("batch", "height", "width", "detect-height", "detect-width"):
        value = getattr(options, key.replace("-", "_"))
        if value is not None:
            shape[key] = value
    shape = [f"--{key}={value}" for key, value in shape.items()]
    ours = [str(HERE.parent / "build" / "rcnn"), "bench", "model", *shape, "--json"]
    # Debian installs torch for /usr/bin/python3 only, which may not be the interpreter that runs this script.
    theirs = ["/usr/bin/python3", str(HERE / "torchvision_models.py"), *shape]
    return {"ours": shlex.split(options.ours) if options.ours else ours,
            "torchvision": shlex.split(options.theirs) if options.theirs else theirs}


def measure(command, threads):
    """Runs `command` and returns {what: [seconds]}."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be run: {error.strerror}.")
    if done.returncode != 0:
        raise SystemExit(f"`{shlex.join(command)}` exited with {done.returncode}; expected 0.")
    try:
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    except json.JSONDecodeError as error:
        raise SystemExit(f"`{shlex.join(command)}` printed a line that is not JSON: {error}.")
    times = {row["what"]: row["seconds"] for row in rows if row.get("what") in WHATS}
    for what in WHATS:
        if not times.get(what):
            raise SystemExit(f"`{shlex.join(command)}` printed no times of {what}; expected a line with them.")
    return times


def print_table(what, medians):
    """Prints {"ours": [seconds of each round], "torchvision": [...]} as a table and returns the overall ratio."""
    ours, theirs = medians["ours"], medians["torchvision"]
    print(f"\n{what + ', ms':<16}{'ours':>10}{'torchvision':>14}{'ratio':>8}")
    for index, (a, b) in enumerate(zip(ours, theirs), 1):
        print(f"{f'round {index}':<16}{a * 1e3:>10.2f}{b * 1e3:>14.2f}{b / a:>8.2f}")
    overall = statistics.median(theirs) / statistics.median(ours)
    print(f"{'median':<16}{statistics.median(ours) * 1e3:>10.2f}{statistics.median(theirs) * 1e3:>14.2f}"
          f"{overall:>8.2f}", flush=True)
    return overall


def main():
    options = parse_options()
    both = commands(options)
    for name, command in both.items():
        print(f"{name}: {shlex.join(command)}")
    rounds = []
    for index in range(options.rounds):
        print(f"round {index + 1} of {options.rounds}", file=sys.stderr)
        rounds.append({name: measure(command, options.threads) for name, command in both.items()})
    if options.json:
        record = {"threads": options.threads, "commands": both, "rounds": rounds}
        Path(options.json).write_text(json.dumps(record))

    slow = []
    for what in WHATS:
        medians = {name: [statistics.median(one[name][what]) for one in rounds] for name in both}
        overall = print_table(what, medians)
        min_ratio = options.at_least
        if what == "detect" and options.detect_at_least is not None:
            min_ratio = options.detect_at_least
        if min_ratio is not None and not overall >= min_ratio:
            slow.append(f"{what} is {overall:.2f} times as fast, expected at least {min_ratio:g}")
    if slow:
        raise SystemExit("; ".join(slow) + ".")


if __name__ == "__main__":
    main()
