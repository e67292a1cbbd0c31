#!/usr/bin/env python3
"""Times this program and torchvision in turn (A B A B ...), on the same model and with as many threads.

    bench/compare_torchvision.py                            nano-fpn, batch 4, 240x320, five rounds
    bench/compare_torchvision.py --model resnet18-fpn       batch 2, 320x320; detection on 480x640
    bench/compare_torchvision.py --python venv/bin/python   with the torch and torchvision of this interpreter
    bench/compare_torchvision.py --compile                  and with torch.compile
    bench/compare_torchvision.py --busy                     each round again, beside one busy process
    bench/compare_torchvision.py --model all --markdown f   the four models of docs/measurements.md, as its table

The figure of a round is the median of its calls, and the overall figure is the median of the rounds. A ratio is the
other program's time divided by ours. Compiling takes minutes in the first round, and less in the others, which find
its results on the disk; it is not part of any time.
"""

import argparse
import shlex

import rounds

WHATS = ("train_step", "detect")
# The shapes on which each model is timed. Both sides have random weights. In the ResNets, batch normalisation, the stem
# and layer1 are frozen; in vgg16, the first four convolutions. Models with a feature pyramid train on 512 RoIs per image
# and detect on 1000 (nano-fpn: on 64 and 200), the others on 128 and 300.
SHAPES = {"nano-fpn": {"batch": 4, "height": 240, "width": 320},
          "resnet18-fpn": {"batch": 2, "height": 320, "width": 320, "detect-height": 480, "detect-width": 640},
          "resnet18-c4": {"batch": 2, "height": 240, "width": 320},
          "resnet50-fpn": {"batch": 1, "height": 480, "width": 640, "detect-height": 800, "detect-width": 1333},
          "vgg16": {"batch": 1, "height": 480, "width": 640, "detect-height": 600, "detect-width": 800}}
ALL = ("nano-fpn", "resnet18-fpn", "resnet50-fpn", "vgg16")
# What the title of a column and the notes call the ways to compile (see torchvision_models.py).
COMPILED = {"parts": "compiled parts", "model": "compiled model"}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=(*SHAPES, "all"), nargs="+", default=["nano-fpn"],
                        help=f"one or more; all: {', '.join(ALL)}")
    parser.add_argument("--compile", choices=(*COMPILED, "both"), nargs="?", const="both",
                        help="also time torch.compile: of the parts of the model that have no loops, of the model as a "
                             "whole, or both; without a value, both")
    parser.add_argument("--batch", type=int, help="images per training step")
    parser.add_argument("--height", type=int, help="height of the training images")
    parser.add_argument("--width", type=int, help="width of the training images")
    parser.add_argument("--detect-height", type=int, help="height of the image to detect on")
    parser.add_argument("--detect-width", type=int, help="width of the image to detect on")
    parser.add_argument("--classes", type=int, default=3, help="number of classes, without the background")
    parser.add_argument("--steps", type=int, default=20, help="timed calls in each run")
    parser.add_argument("--warm-up", type=int, default=5, help="calls before these")
    parser.add_argument("--ours", help="command to run instead of `build/rcnn bench model ...`")
    parser.add_argument("--theirs", help="command to run instead of `torchvision_models.py ...`")
    parser.add_argument("--at-least", type=float, metavar="RATIO", help="exit with 1 if a ratio is below this")
    parser.add_argument("--detect-at-least", type=float, metavar="RATIO",
                        help="minimum ratio of detection, instead of that of --at-least")
    rounds.add_options(parser)
    options = rounds.checked(parser)
    options.model = list(dict.fromkeys(ALL if "all" in options.model else options.model))
    return options


def shape_of(model, options):
    """The shapes that `model` is timed on, each as a number."""
    shape = dict(SHAPES[model])
    for key in ("batch", "height", "width", "detect-height", "detect-width"):
        value = getattr(options, key.replace("-", "_"))
        if value is not None:
            shape[key] = value
    return {"detect-height": shape["height"], "detect-width": shape["width"], **shape}


def programs(model, options):
    """The programs to time, ours first."""
    shape = {"model": model, **shape_of(model, options), "classes": options.classes, "steps": options.steps,
             "warm-up": options.warm_up}
    arguments = [f"--{key}={value}" for key, value in shape.items()]
    ours = [rounds.OUR_PROGRAM, "bench", "model", *arguments, "--json"]
    theirs = [options.python, str(rounds.HERE / "torchvision_models.py"), *arguments]
    if options.ours:
        ours = shlex.split(options.ours)
    if options.theirs:
        theirs = shlex.split(options.theirs)
    listed = [rounds.Program("ours", ours), rounds.Program("torchvision", theirs, rounds.KEEP_MEMORY)]
    for how, name in COMPILED.items():
        if options.compile in (how, "both"):
            listed.append(rounds.Program(name, [*theirs, f"--compile={how}"], rounds.KEEP_MEMORY,
                                         optional=True, limit=options.compile_limit))
    return listed


def label_of(what, model, shape):
    if what == "detect":
        return f"detection with `{model}`, {shape['detect-height']} x {shape['detect-width']}"
    images = "1 image" if shape["batch"] == 1 else f"{shape['batch']} images"
    return f"training step of `{model}`, {images} of {shape['height']} x {shape['width']}"


def too_slow(what, compared, options):
    """A sentence for each ratio that is below the required minimum."""
    min_ratio = options.at_least
    if what == "detect" and options.detect_at_least is not None:
        min_ratio = options.detect_at_least
    if min_ratio is None:
        return []
    return [f"{what} is {ratio:.2f} times as fast as {name}, expected at least {min_ratio:g}"
            for name, ratio in compared.items() if ratio is not None and not ratio >= min_ratio]


def main():
    options = parse_options()
    if not options.theirs:
        rounds.require_modules(options.python, ["torch", "torchvision"])
    report = rounds.Report(options)
    slow = []
    for model in options.model:
        shape = shape_of(model, options)
        labels = {what: label_of(what, model, shape) for what in WHATS}
        compared = report.measure(model, programs(model, options), labels)
        slow += [f"{model}: {sentence}" for what in WHATS for sentence in too_slow(what, compared[what], options)]
    if slow:
        raise SystemExit("; ".join(slow) + ".")


if __name__ == "__main__":
    main()
