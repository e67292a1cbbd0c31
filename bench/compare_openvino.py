#!/usr/bin/env python3
"""Times the dense part of a detection in turn in this program, OpenVINO and torch, with as many threads each.

    bench/compare_openvino.py --python venv/bin/python      resnet50-fpn on 800x1344, five rounds

The dense part is the backbone, the pyramid and the head of the RPN, nearly all of whose time goes into convolutions.
The other programs run torchvision's model, which OpenVINO converts. The interpreter needs torch, torchvision and
openvino, all of which are on PyPI. A ratio is the other program's time divided by ours.
"""

import argparse

import rounds

# Sizes of the input, after padding.
SHAPES = {"nano-fpn": (240, 320), "resnet18-fpn": (480, 640), "resnet18-c4": (240, 320), "resnet50-fpn": (800, 1344),
          "vgg16": (608, 800)}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(SHAPES), default="resnet50-fpn")
    parser.add_argument("--height", type=int, help="height of the input, after padding")
    parser.add_argument("--width", type=int, help="width of the input, after padding")
    parser.add_argument("--steps", type=int, default=10, help="timed calls in each run")
    parser.add_argument("--warm-up", type=int, default=3, help="calls before these")
    parser.add_argument("--compile", action="store_true", help="also time torch.compile")
    rounds.add_options(parser)
    return rounds.checked(parser)


def main():
    options = parse_options()
    rounds.require_modules(options.python, ["torch", "torchvision", "openvino"])
    height, width = (given or default for given, default in zip((options.height, options.width), SHAPES[options.model]))
    shape = [f"--model={options.model}", f"--detect-height={height}", f"--detect-width={width}",
             f"--steps={options.steps}", f"--warm-up={options.warm_up}"]
    # Both sides also take the size of training images. The smallest will do.
    training = ["--height=32", "--width=32", "--batch=1", "--what=dense"]
    torch = [options.python, str(rounds.HERE / "torchvision_models.py"), *shape, *training]
    programs = [rounds.Program("ours", [rounds.OUR_PROGRAM, "bench", "model", *shape, *training, "--json"]),
                rounds.Program("OpenVINO", [options.python, str(rounds.HERE / "openvino_dense.py"), *shape],
                               rounds.KEEP_MEMORY),
                rounds.Program("torch", torch, rounds.KEEP_MEMORY)]
    if options.compile:
        programs.append(rounds.Program("torch.compile", [*torch, "--compile"], rounds.KEEP_MEMORY, optional=True,
                                       limit=options.compile_limit))
    label = f"backbone, pyramid and RPN head of `{options.model}`, {height} x {width}"
    rounds.Report(options).measure(options.model, programs, {"dense": label})


if __name__ == "__main__":
    main()
