#!/usr/bin/env python3
"""Converts the dense part of one of torchvision's detectors to OpenVINO, and times it on the CPU.

    bench/openvino_dense.py --model resnet50-fpn --detect-height 800 --detect-width 1344

The dense part is the backbone, the pyramid and the head of the RPN: what OpenVINO can run as one graph. Its shapes are
fixed, its precision is f32, and it is compiled for latency with OMP_NUM_THREADS threads (2 by default). The result is
compared with torch's. Prints one JSON object per line, the versions first. bench/compare_openvino.py compares it with
this program.
"""

import argparse
import json
import os
import statistics

from torchvision_models import MODELS, Dense, be_quiet, random_images, time_calls, versions

import numpy
import openvino
import torch

TOLERANCE = 1e-3  # of the largest difference from torch's result, divided by the largest number in it


def compile_for_latency(network, example, threads):
    """The network for inputs of the example's shape, ready to run in f32."""
    model = openvino.convert_model(network, example_input=example, input=[tuple(example.shape)])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    return openvino.Core().compile_model(model, "CPU", settings)


def largest_difference(found, expected):
    """Of two lists of arrays: relative to the largest number of each."""
    if len(found) != len(expected):
        raise SystemExit(f"The converted network has {len(found)} outputs; expected {len(expected)}.")
    return float(numpy.max([abs(a - b).max() / abs(b).max() for a, b in zip(found, expected)]))  # NaN if any is


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(MODELS), default="resnet50-fpn")
    parser.add_argument("--detect-height", type=int, default=800, help="height of the input, padded [800]")
    parser.add_argument("--detect-width", type=int, default=1344, help="width of the input, padded [1344]")
    parser.add_argument("--steps", type=int, default=20, help="timed calls [20]")
    parser.add_argument("--warm-up", type=int, default=5, help="calls before these [5]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    print(json.dumps({"what": "versions", "OpenVINO": openvino.__version__.partition("-")[0], **versions()}), flush=True)

    torch.manual_seed(options.seed)
    network = Dense(MODELS[options.model](3)).eval()
    batch = random_images(1, options.detect_height, options.detect_width, 3)[0][0][None]
    with torch.inference_mode():
        expected = [tensor.numpy() for maps in network(batch) for tensor in maps]
    with torch.no_grad():  # tracing does not accept what inference_mode makes
        compiled = compile_for_latency(network, batch, threads)
    request, array = compiled.create_infer_request(), batch.numpy()
    seconds = time_calls(lambda: request.infer([array], share_inputs=True), options.steps, options.warm_up,
                         torch.device("cpu"))
    found = [request.get_output_tensor(index).data for index in range(len(compiled.outputs))]
    difference = largest_difference(found, expected)
    if not difference <= TOLERANCE:
        raise SystemExit(f"OpenVINO's result differs from torch's by {difference:.1e}; expected at most {TOLERANCE:g}.")
    print(json.dumps({"what": "dense", "model": options.model, "height": options.detect_height,
                      "width": options.detect_width, "threads": compiled.get_property("INFERENCE_NUM_THREADS"),
                      "difference": difference, "median": statistics.median(seconds), "seconds": seconds}))


if __name__ == "__main__":
    be_quiet()
    main()
