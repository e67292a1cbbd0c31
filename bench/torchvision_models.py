#!/usr/bin/python3
"""This project's models built from torchvision's parts: the peers that they are timed against.

    bench/torchvision_models.py                           prints the time of a training step and of a detection

Works with torch 1.13 and torchvision 0.14 (Debian 12: python3-torch python3-torchvision) up to torch 2.15 and torchvision
0.29 (PyPI). Results are printed to standard output, one JSON object per line, the versions first. Settings that are not
given here are torchvision's defaults. The environment variable OMP_NUM_THREADS sets the number of threads (2 by
default).
bench/torchvision_train.py trains one of these models.
"""

import argparse
import json
import logging
import os
import re
import statistics
import time
import warnings
from collections import OrderedDict
from functools import partial
from pathlib import Path


def quickest_openblas_core():
    """The name of OpenBLAS's fastest kernels for this CPU, or None to leave the choice to OpenBLAS.

    An OpenBLAS that is older than the CPU falls back to SSE3 kernels, which are five times slower. Comparing with
    them would be unfair.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= flags else None


# OpenBLAS reads the variable when it is loaded, so it is set before torch is imported.
if quickest_openblas_core():
    os.environ.setdefault("OPENBLAS_CORETYPE", quickest_openblas_core())

import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.models import vgg16
from torchvision.models.resnet import BasicBlock, resnet18
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork, MultiScaleRoIAlign, roi_pool
from torchvision.ops.misc import FrozenBatchNorm2d

CHANNELS = 32  # of every pyramid level
ANCHOR_SIZES = ((16, 23), (32, 45), (64, 90))  # for strides 4, 8, 16


def residual_block(in_channels, out_channels):
    """A basic ResNet block that halves the resolution."""
    shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False),
                             nn.BatchNorm2d(out_channels))
    return BasicBlock(in_channels, out_channels, stride=2, downsample=shortcut)


class NanoBody(nn.Module):
    """A residual network with outputs of stride 4, 8 and 16 and 32, 64 and 128 channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(32, 32))
        self.layer2 = nn.Sequential(residual_block(32, 64))
        self.layer3 = nn.Sequential(residual_block(64, 128), Conv2dNormActivation(128, 128, 3))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        c2 = self.layer1(x)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return OrderedDict([("0", c2), ("1", c3), ("2", c4)])


class NanoFpn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = NanoBody()
        self.fpn = FeaturePyramidNetwork([32, 64, 128], CHANNELS)
        self.out_channels = CHANNELS

    def forward(self, x):
        return self.fpn(self.body(x))


def nano_fpn(classes, short_side=240, long_side=640):
    """The whole detector for `classes` classes (without the background), in channels_last."""
    pooling = MultiScaleRoIAlign(["0", "1", "2"], 5, 2, canonical_scale=64, canonical_level=3)
    model = FasterRCNN(
        NanoFpn(), min_size=short_side, max_size=long_side,
        rpn_anchor_generator=AnchorGenerator(ANCHOR_SIZES, ((0.5, 1.0, 2.0),) * 3),
        rpn_head=RPNHead(CHANNELS, 6),
        rpn_pre_nms_top_n_train=500, rpn_post_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=200, rpn_post_nms_top_n_test=200,
        rpn_fg_iou_thresh=0.6, rpn_batch_size_per_image=64, size_divisible=16,
        box_roi_pool=pooling, box_head=TwoMLPHead(CHANNELS * 25, 256),
        box_predictor=FastRCNNPredictor(256, classes + 1),
        box_batch_size_per_image=64, box_positive_fraction=0.5)
    return model.to(memory_format=torch.channels_last)


def to_channels_last(module, arguments):
    return (arguments[0].contiguous(memory_format=torch.channels_last),)


def resnet_fpn(depth, classes):
    """torchvision's defaults: batch normalisation is frozen, and so are the stem and layer1, as when training starts
    from pretrained weights."""
    backbone = resnet_fpn_backbone(backbone_name=f"resnet{depth}", weights=None, norm_layer=FrozenBatchNorm2d,
                                   trainable_layers=3)
    backbone.register_forward_pre_hook(to_channels_last)
    return FasterRCNN(backbone, classes + 1).to(memory_format=torch.channels_last)


def resnet18_c4(classes):
    """A detector on the output of layer3 only. The same parts are frozen as in resnet_fpn."""
    body = IntermediateLayerGetter(resnet18(weights=None, norm_layer=FrozenBatchNorm2d), {"layer3": "0"})
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(not name.startswith(("conv1", "layer1")))
    backbone = nn.Sequential(OrderedDict(body=body))
    backbone.out_channels = 256
    backbone.register_forward_pre_hook(to_channels_last)
    model = FasterRCNN(
        backbone, classes + 1, min_size=320, max_size=640, size_divisible=16,
        rpn_anchor_generator=AnchorGenerator(((16, 32, 64, 128, 256),), ((0.5, 1.0, 2.0),)),
        rpn_post_nms_top_n_train=1000, rpn_post_nms_top_n_test=300,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2), box_batch_size_per_image=128)
    return model.to(memory_format=torch.channels_last)


class RoIPoolOfOneMap(nn.Module):
    """RoIPool 7x7 with MultiScaleRoIAlign's arguments."""

    def forward(self, features, boxes, image_shapes):
        return roi_pool(features["0"], boxes, 7, 1 / 16)


def vgg16_roi_pool(classes):
    """The detector of the paper: conv1_1 to conv2_2 are frozen; RoIPool; two linear layers of 4096 with dropout."""
    body = vgg16(weights=None).features[:-1]
    for parameter in body[:10].parameters():
        parameter.requires_grad_(False)
    backbone = nn.Sequential(OrderedDict(body=body))
    backbone.out_channels = 512
    backbone.register_forward_pre_hook(to_channels_last)
    head = nn.Sequential(nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Dropout(),
                         nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout())
    model = FasterRCNN(
        backbone, min_size=600, max_size=1000, size_divisible=16,
        rpn_anchor_generator=AnchorGenerator(((128, 256, 512),), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=12000, rpn_pre_nms_top_n_test=6000, rpn_post_nms_top_n_test=300,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2), box_head=head,
        box_predictor=FastRCNNPredictor(4096, classes + 1), box_batch_size_per_image=128)
    model.roi_heads.box_roi_pool = RoIPoolOfOneMap()
    return model.to(memory_format=torch.channels_last)


MODELS = {"nano-fpn": nano_fpn, "resnet18-fpn": partial(resnet_fpn, 18), "resnet50-fpn": partial(resnet_fpn, 50),
          "resnet18-c4": resnet18_c4, "vgg16": vgg16_roi_pool}


def make_optimizer(model, lr, momentum=0.9, weight_decay=1e-4):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    settings = {"momentum": momentum, "weight_decay": weight_decay}
    try:
        return torch.optim.SGD(trained, lr, fused=True, **settings)
    except (TypeError, RuntimeError):  # torch is older than 2.3, or than 2.4 on the CPU
        return torch.optim.SGD(trained, lr, **settings)


def train_step(model, optimizer, images, targets):
    """Runs forward, backward and update, and returns the total loss."""
    loss = sum(model(images, targets).values())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


class Dense(nn.Module):
    """The part of a detection that computes whole maps: the backbone, the pyramid and the head of the RPN.

    The result is a list of scores, and a list of deltas, one map per level.
    """

    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.rpn.head

    def forward(self, batch):
        features = self.backbone(batch)
        levels = [features] if isinstance(features, torch.Tensor) else list(features.values())
        return self.head(levels)


# ---- timing ------------------------------------------------------------------------------------------------


def random_images(count, height, width, classes, boxes=8):
    """`count` images of noise with `boxes` ground-truth boxes each, the same in every run."""
    generator = torch.Generator().manual_seed(1)
    images, targets = [], []
    for _ in range(count):
        images.append(torch.rand(3, height, width, generator=generator))
        size = 16 + torch.rand(boxes, 2, generator=generator) * (min(height, width) / 2 - 16)
        corner = torch.rand(boxes, 2, generator=generator) * (torch.tensor([width, height]) - size)
        labels = torch.randint(1, classes + 1, (boxes,), generator=generator)
        targets.append({"boxes": torch.cat([corner, corner + size], 1), "labels": labels})
    return images, targets


def time_calls(call, count, warm_up, device):
    """The seconds of each of `count` calls, made after `warm_up` calls that are not timed."""
    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(count):
        wait()
        start = time.perf_counter()
        call()
        wait()
        seconds.append(time.perf_counter() - start)
    return seconds


def versions():
    """{library: version}, with the copy of oneDNN that is inside torch."""
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    return {"torch": torch.__version__, "torchvision": torchvision.__version__,
            "oneDNN": onednn[1] if onednn and torch.backends.mkldnn.is_available() else None}


def print_row(what, options, **values):
    print(json.dumps({"what": what, "model": options.model, "device": options.device, "precision": options.precision,
                      "compiled": options.compile, "threads": torch.get_num_threads(), **values}), flush=True)


def print_timing(what, options, images, seconds, **extra):
    print_row(what, options, batch=len(images), height=images[0].shape[1], width=images[0].shape[2],
              median=statistics.median(seconds), **extra, seconds=seconds)


def compiled(model, how):
    """The model after torch.compile: the whole of it, or if `how` is "parts" the modules without loops and without
    shapes that depend on the data, in which nearly all of the time is spent.

    In inference on the CPU, frozen batch normalisation is folded into the filters, and these are packed for oneDNN.
    """
    from torch import _dynamo
    from torch._inductor import config
    _dynamo.reset()  # otherwise shapes that differ from those of an earlier call become dynamic, which is slower
    config.freezing = not torch.is_grad_enabled() and next(model.parameters()).device.type == "cpu"
    if how == "model" or isinstance(model, Dense):
        return torch.compile(model)
    for owner, part in ((model, "backbone"), (model.rpn, "head"), (model.roi_heads, "box_head")):
        module = getattr(owner, part)
        setattr(owner, part, torch.compile(getattr(module, "_orig_mod", module)))
    return model


def be_quiet():
    """Hides torch.compile's warnings about parts that it leaves to Python."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


def refuse_reference_blas():
    """Exits if torch uses the reference BLAS.

    Debian's torch computes fully connected layers with the installed libblas.so.3, which may be a plain loop.
    """
    maps = Path("/proc/self/maps")
    libraries = maps.read_text() if maps.exists() else ""
    if "/libblas.so" in libraries and "openblas" not in libraries:
        raise SystemExit("torch uses the reference BLAS here, which is fifty times slower than others, so the "
                         "comparison would be unfair; install libopenblas0-pthread.")


def bench(options):
    """Times what the options name.

    The input already has its final size, and torchvision's resize, which would do nothing, is skipped. On a GPU the
    images are uploaded beforehand.
    """
    torch.manual_seed(options.seed)
    # In the first steps from random weights many gradients are denormal numbers, with which a step of resnet50-fpn
    # takes up to 19 s instead of 2.
    torch.set_flush_denormal(True)
    refuse_reference_blas()
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    images, targets = random_images(options.batch, options.height, options.width, options.classes)
    images = [image.to(device) for image in images]
    targets = [{key: value.to(device) for key, value in target.items()} for target in targets]
    unseen, _ = random_images(1, options.detect_height, options.detect_width, options.classes)
    unseen = [image.to(device) for image in unseen]
    model = MODELS[options.model](options.classes)
    model.transform.resize = lambda image, target=None: (image, target)
    model.to(device)
    # There is nothing to learn from noise. A small learning rate keeps the losses finite and the work of every step
    # the same.
    optimizer = make_optimizer(model, lr=1e-4)
    print(json.dumps({"what": "versions", **versions()}), flush=True)

    def measure(what, inputs, timed, call, count=False):
        """Times `call`, which takes `timed`, a model, compiled if the options say so."""
        if options.compile and not hasattr(torch, "compile"):
            print_row(what, options, error=f"torch {torch.__version__} has no torch.compile, which came with 2.0.")
            return
        try:
            called = compiled(timed, options.compile) if options.compile else timed
            seconds = time_calls(lambda: call(called), options.steps, options.warm_up, device)
            extra = {"detections": len(call(called)[0]["boxes"])} if count else {}
        except Exception as error:  # the compiler raises errors of many types
            if not options.compile:
                raise
            said = str(error).strip().splitlines() or ["no message"]
            print_row(what, options, error=f"torch.compile failed with {type(error).__name__}: {said[0][:200].rstrip('.')}.")
            return
        print_timing(what, options, inputs, seconds, **extra)

    with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
        if "train_step" in options.what:
            measure("train_step", images, model.train(), lambda called: train_step(called, optimizer, images, targets))
        model.eval()
        with torch.inference_mode():
            if "detect" in options.what:
                measure("detect", unseen, model, lambda called: called(unseen), count=True)
            if "dense" in options.what:
                batch = model.transform(unseen)[0].tensors.to(memory_format=torch.channels_last)
                measure("dense", batch, Dense(model), lambda called: called(batch))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(MODELS), default="nano-fpn")
    parser.add_argument("--what", default="train_step,detect",
                        help="what to time, separated by commas: train_step, detect, dense (the backbone, the pyramid and "
                             "the head of the RPN) [train_step,detect]")
    parser.add_argument("--batch", type=int, default=4, help="images per training step")
    parser.add_argument("--steps", type=int, default=20, help="timed calls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=240, help="height of the training images")
    parser.add_argument("--width", type=int, default=320, help="width of the training images")
    parser.add_argument("--detect-height", type=int, help="height of the image to detect on [as in training]")
    parser.add_argument("--detect-width", type=int, help="width of the image to detect on [as in training]")
    parser.add_argument("--classes", type=int, default=3, help="number of classes, without the background")
    parser.add_argument("--warm-up", type=int, default=5, help="calls before the timed ones")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=("f32", "tf32", "bf16"), default="f32",
                        help="precision of convolutions and matrix products on a GPU")
    parser.add_argument("--compile", choices=("model", "parts"), nargs="?", const="model",
                        help="run the model through torch.compile, as a whole [model], or its parts that have no loops")
    options = parser.parse_args()
    options.what = options.what.split(",")
    for what in options.what:
        if what not in ("train_step", "detect", "dense"):
            parser.error(f"--what {what}: expected train_step, detect or dense")
    options.detect_height = options.detect_height or options.height
    options.detect_width = options.detect_width or options.width
    return options


def set_threads():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


if __name__ == "__main__":
    set_threads()
    be_quiet()
    bench(parse_options())
