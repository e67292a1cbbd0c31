#!/usr/bin/env python3
"""Times PyTorch's ops on a GPU or the CPU, on the shapes that `rcnn bench ops --json` has timed.

    bench/torch_ops.py OPS.json THEIRS.json
    bench/torch_ops.py OPS.json THEIRS.json --device cpu     in f32; OMP_NUM_THREADS sets the number of threads

On a GPU, convolutions and matrix products run in f32, TF32 and bf16, like our variants. Tensors are channels_last, cuDNN
searches for its fastest engine, and batches of runs are replayed as CUDA graphs. NMS and RoIAlign are those of
torchvision, if it is installed. Writes {"torch", "torchvision", "cudnn", "stopped" (the case at which
--limit ended it, or null), "ops": [{"op", "case", "precision", "ms"}]} to THEIRS.json, with one entry per case and
precision, and "cold_ms" with --cold. An entry that failed has "error" instead of "ms". The file is written after each
case.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional

try:
    import torchvision
except ImportError:
    torchvision = None

DTYPES = {"f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
DEVICE = "cuda"  # set by main
BATCH_MS = 5  # duration of the batch of runs between two events
BATCHES = 7

# (images, boxes): (groups, threshold) of the nms cases in kernels/boxes/nms_cases.h, because shapes do not show them.
NMS = {(4, 3000): (3, 0.7), (8, 5000): (5, 0.7), (1, 90000): (90, 0.5), (1, 12000): (1, 0.7)}


def numbers(shape, dtype=torch.float32):
    return torch.randn(shape, device=DEVICE, dtype=dtype)


def nhwc(shape, dtype):
    """Our (N, H, W, C) as PyTorch's (N, C, H, W) in channels_last; filters (K, R, S, C) likewise."""
    return numbers(shape, dtype).permute(0, 3, 1, 2)


def random_boxes(count, side=500.0):
    """Boxes drawn as in kernels/boxes/box_cases.h, without the invalid ones."""
    u = torch.rand(count, 4, device=DEVICE)
    length = 0.02 + 0.48 * u[:, 2:] ** 2
    low = u[:, :2] * 1.1 - 0.05 - length / 2
    return torch.cat([low, low + length], 1) * side


def random_rois(count, height, width, stride):
    """Boxes of all sizes all over the image, drawn as in kernels/roi/roi_cases.h."""
    u = torch.rand(count, 4, device=DEVICE)
    smallest, largest = stride / 2, 1.2 * max(height, width)
    size = smallest * (largest / smallest) ** u[:, 2]
    centre = u[:, :2] * torch.tensor([width, height], device=DEVICE)
    half = torch.stack([size * (0.5 + u[:, 3]) / 2, size * (1.5 - u[:, 3]) / 2], 1)
    return torch.cat([centre - half, centre + half], 1)


# ---- the peers: each makes its tensors and returns a function that runs the op once -------------------------


def same_padding(x, w, y):
    """Stride and padding of one of our cases. All cases pad such that the output is the input's size / stride."""
    return [round(x[1] / y[1])] * 2, [(w[1] - 1) // 2, (w[2] - 1) // 2]


def conv2d(case, dtype):
    """A convolution. Its epilogue is bias, shortcut and ReLU; PyTorch would fold a scale into the filters."""
    (x_shape, w_shape, *epilogue), (y_shape,) = case["inputs"], case["outputs"]
    stride, padding = same_padding(x_shape, w_shape, y_shape)
    x, w = nhwc(x_shape, dtype), nhwc(w_shape, dtype)
    if not epilogue:
        return lambda: functional.conv2d(x, w, None, stride, padding)
    bias = numbers(w_shape[0], dtype)
    shortcut = nhwc(y_shape, dtype) if y_shape in epilogue else None

    def run():
        y = functional.conv2d(x, w, bias, stride, padding)
        if shortcut is not None:
            y += shortcut
        return y.relu_()
    return run


def conv2d_gradient(g_shape, x_shape, w_shape, which, dtype):
    stride, padding = same_padding(x_shape, w_shape, g_shape)
    g, x, w = nhwc(g_shape, dtype), nhwc(x_shape, dtype), nhwc(w_shape, dtype)
    mask = [which == "dx", which == "dw", False]
    return lambda: torch.ops.aten.convolution_backward(g, x, w, None, stride, padding, [1, 1], False, [0, 0],
                                                       1, mask)


def conv2d_dx(case, dtype):
    (g_shape, w_shape), (x_shape,) = case["inputs"], case["outputs"]
    return conv2d_gradient(g_shape, x_shape, w_shape, "dx", dtype)


def conv2d_dw(case, dtype):
    (x_shape, g_shape), (w_shape,) = case["inputs"], case["outputs"]
    return conv2d_gradient(g_shape, x_shape, w_shape, "dw", dtype)


def matmul(case, dtype):
    """A matrix product. Its epilogue has the bias, but not the ReLU that ours has."""
    (a_shape, b_shape, *epilogue), ((m, n),) = case["inputs"], case["outputs"]
    a, b = numbers(a_shape, dtype), numbers(b_shape, dtype)
    a = a if a_shape[0] == m else a.t()
    b = b if b_shape == [a.shape[1], n] else b.t()
    if not epilogue:
        return lambda: torch.mm(a, b)
    bias = numbers(n, dtype)
    return lambda: torch.addmm(bias, a, b)


def nms(case, _):
    images, boxes_each = case["inputs"][0][:2]
    kept = case["outputs"][0][1]
    groups, threshold = NMS[images, boxes_each]
    boxes = [random_boxes(boxes_each) for _ in range(images)]
    scores = [torch.randn(boxes_each, device=DEVICE) for _ in range(images)]
    group = [torch.randint(groups, (boxes_each,), device=DEVICE) for _ in range(images)]

    def run():
        for b, s, g in zip(boxes, scores, group):
            if groups == 1:
                torchvision.ops.nms(b, s, threshold)[:kept]
            else:
                torchvision.ops.batched_nms(b, s, g, threshold)[:kept]
    return run


def top_k(case, _):
    """The largest scores of each level, without the level's index added."""
    k = case["outputs"][0][-1]
    scores = [torch.randn(shape, device=DEVICE) for shape in case["inputs"]]

    def run():
        for level in scores:
            torch.topk(level, min(k, level.shape[-1]), dim=-1)
    return run


def pooling(level_shapes, pooled, rois_each, channels):
    """torchvision's pooling over a pyramid: (module, features (N, C, H, W), RoIs, sizes of the images)."""
    images, height, width = level_shapes[0][0], 4 * level_shapes[0][1], 4 * level_shapes[0][2]
    names = [str(level) for level in range(len(level_shapes))]
    # Strides start at 4. A box of the canonical size is assigned to the second level.
    pool = torchvision.ops.MultiScaleRoIAlign(names, pooled, 2, canonical_scale=112 if channels == 256 else 64,
                                              canonical_level=3)
    features = {name: numbers([n, c, h, w]) for name, (n, h, w, c) in zip(names, level_shapes)}
    rois = [random_rois(rois_each, height, width, 4) for _ in range(images)]
    return pool, features, rois, [(height, width)] * images


def pyramid(shapes, pooled_shape):
    """The shapes of a case's tensors that are levels: as many channels as the pooled tensor, but not its shape."""
    return [s for s in shapes if len(s) == 4 and s[3] == pooled_shape[3] and s != pooled_shape]


def roi_align(case, _):
    rows, pooled, _, channels = case["outputs"][0]
    levels = pyramid(case["inputs"], case["outputs"][0])
    pool, features, rois, sizes = pooling(levels, pooled, rows // levels[0][0], channels)
    return lambda: pool(features, rois, sizes)


def roi_align_backward(case, _):
    levels = case["outputs"]
    (dy_shape,) = [s for s in case["inputs"] if len(s) == 4 and s[3] == levels[0][3]]
    rows, pooled, _, channels = dy_shape
    pool, features, rois, sizes = pooling(levels, pooled, rows // levels[0][0], channels)
    leaves = [feature.requires_grad_() for feature in features.values()]
    with torch.enable_grad():
        y = pool(features, rois, sizes)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True, allow_unused=True)


def sgd(case, _):
    """An SGD step. The outputs of our op are, for each parameter, the weight and the momentum."""
    parameters = [numbers(shape).requires_grad_() for shape in case["outputs"][::2]]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    settings = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}
    try:
        return torch.optim.SGD(parameters, fused=True, **settings).step
    except (TypeError, RuntimeError):  # PyTorch is older than 2.3
        return torch.optim.SGD(parameters, foreach=True, **settings).step


# op: (its peer, whether it has several precisions, whether a run can be captured, whether it is from torchvision)
PEERS = {
    "conv2d": (conv2d, True, True, False),
    "conv2d_dx": (conv2d_dx, True, True, False),
    "conv2d_dw": (conv2d_dw, True, True, False),
    "matmul": (matmul, True, True, False),
    "nms": (nms, False, False, True),
    "roi_align": (roi_align, False, False, True),
    "roi_align_backward": (roi_align_backward, False, False, True),
    "top_k": (top_k, False, True, False),
    "sgd": (sgd, False, False, False),
}

# ---- timing ------------------------------------------------------------------------------------------------


def elapsed(run):
    """Milliseconds that `run` takes on the device."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def time_runs(run, capture):
    """Milliseconds of one run, as the median over batches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # cuDNN searches for engines; graphs require a side stream for the warm-up
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    count = max(1, min(200, int(BATCH_MS / max(elapsed(run), 1e-4))))

    def batch():
        for _ in range(count):
            run()
    queue = batch
    if capture:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            batch()
        queue = graph.replay
    elapsed(queue)
    return statistics.median(elapsed(queue) for _ in range(BATCHES)) / count


def time_cold(run, count=8):
    """Milliseconds of one run with nothing of it in the L2 cache: before each, a larger buffer is overwritten."""
    buffer = torch.empty(256 << 20, dtype=torch.uint8, device=DEVICE)
    run()
    events = []
    for _ in range(count):
        buffer.zero_()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        events.append((begin, end))
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in events)


def time_on_cpu(run, budget):
    """Milliseconds of one run, as the median of as many as fit in `budget` seconds, but at least three."""
    run()  # touches memory and makes plans
    seconds = []
    while len(seconds) < 3 or sum(seconds) < budget:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def set_precision(precision):
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def time_case(case, precision, options):
    """{"ms"}, and "cold_ms" if the options ask for it."""
    make, _, capture, _ = PEERS[case["op"]]
    set_precision(precision)
    with torch.no_grad():
        run = make(case, DTYPES[precision])
        if DEVICE == "cpu":
            return {"ms": time_on_cpu(run, options.seconds)}
        return {"ms": time_runs(run, capture), **({"cold_ms": time_cold(run)} if options.cold else {})}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", type=Path, metavar="OPS.json", help="what `rcnn bench ops --json` has written")
    parser.add_argument("theirs", type=Path, metavar="THEIRS.json", help="file for the times")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--seconds", type=float, default=0.2, help="on the CPU, seconds for each case [0.2]")
    parser.add_argument("--precisions", default="f32,tf32,bf16", help="on a GPU, separated by commas [f32,tf32,bf16]")
    parser.add_argument("--cold", action="store_true", help="on a GPU, also time each run with a cold L2 cache")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds after which no other case is started")
    return parser.parse_args()


def main():
    global DEVICE
    options = parse_options()
    DEVICE = options.device
    if DEVICE == "cuda" and not torch.cuda.is_available():
        sys.exit("torch_ops.py: PyTorch finds no GPU.")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    ours = json.loads(options.ours.read_text())
    cases = {}
    for row in ours["ops"]:
        cases.setdefault((row["op"], row["case"]), row)
    several = DEVICE == "cuda" and torch.cuda.get_device_capability()[0] >= 8
    all_precisions = options.precisions.split(",") if several else ["f32"]
    rows, stopped = [], None

    def write():
        options.theirs.write_text(json.dumps(
            {"torch": torch.__version__, "torchvision": torchvision.__version__ if torchvision else None,
             "cudnn": torch.backends.cudnn.version(), "stopped": stopped, "ops": rows}))

    # The first case of each op, the second of each, and so on, so that a time limit takes a few of each.
    turn = {key: i for op in PEERS for i, key in enumerate(key for key in cases if key[0] == op)}
    begin = time.monotonic()
    for (op, number), case in sorted(cases.items(), key=lambda item: turn.get(item[0], 0)):
        if op not in PEERS or (PEERS[op][3] and torchvision is None):
            continue
        if time.monotonic() - begin > options.limit:
            stopped = f"{op} case {number}"
            print(f"stopped before {stopped}: {options.limit:.0f} s are over", flush=True)
            break
        for precision in all_precisions if PEERS[op][1] else ["f32"]:
            row = {"op": op, "case": number, "precision": precision}
            try:
                row.update(time_case(case, precision, options))
                print(f"{op} case {number} {precision}: {row['ms']:.4f} ms", flush=True)
            except (RuntimeError, TypeError, ValueError, LookupError) as error:
                row["error"] = str(error).splitlines()[0] if str(error) else type(error).__name__
                print(f"{op} case {number} {precision} failed: {row['error']}", flush=True)
            rows.append(row)
        write()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
    write()


if __name__ == "__main__":
    main()
