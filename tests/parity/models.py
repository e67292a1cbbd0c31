"""The detectors that are compared, built from torchvision's parts, and the images that they are run on.

A case is one model with one batch. Its settings have torchvision's names, written with hyphens as in this program. The
C++ side reads them from the file of the case.
"""

from collections import OrderedDict

import torch
from torch import nn
from torchvision.models import resnet50, vgg16
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, RoIPool

import formula

# Small enough to run in seconds on two cores. Nevertheless every branch is taken: some levels have more anchors than
# `pre-nms-top-n`, NMS leaves more boxes than `post-nms-top-n`, and there are more detections than are kept.
SMALL = {"short-side": 128, "long-side": 224, "rpn-pre-nms-top-n-train": 80, "rpn-pre-nms-top-n-test": 60,
         "rpn-post-nms-top-n-train": 60, "rpn-post-nms-top-n-test": 32, "rpn-batch-size-per-image": 64,
         "box-batch-size-per-image": 24, "box-detections-per-img": 20, "frozen-stages": 0}
FINE_ANCHORS = {"anchor-sizes": "16; 32; 64; 96; 128"}
ONE_LEVEL = {"size-divisible": 16, "anchor-sizes": "16, 32, 64, 96"}

# name: (model, settings, classes with the background, sizes of the images, whether it is trained, salt). The salts were
# chosen from 1 to 10 so that the margins of all choices (top n, NMS, thresholds) are far above rounding errors.
CASES = {
    "resnet50-fpn-wide": ("resnet50-fpn", {**SMALL, **FINE_ANCHORS}, 91, [(150, 224)], False, "3"),
    "resnet50-fpn-high": ("resnet50-fpn", {**SMALL, **FINE_ANCHORS, "short-side": 96}, 91, [(224, 160)], False, "6"),
    "resnet50-fpn": ("resnet50-fpn", {**SMALL, **FINE_ANCHORS}, 91, [(160, 200), (220, 150)], True, "6"),
    "resnet18-fpn": ("resnet18-fpn", {**SMALL, **FINE_ANCHORS}, 7, [(160, 200), (220, 150)], True, "8"),
    "resnet50-c4": ("resnet50-c4", {**SMALL, **ONE_LEVEL, "box-batch-size-per-image": 12}, 7,
                    [(160, 200), (220, 150)], True, "5"),
    "vgg16": ("vgg16", {**SMALL, **ONE_LEVEL, "box-head-size": 256, "box-dropout": 0}, 7,
              [(160, 200), (220, 150)], True, "2"),
    # torchvision's default settings and an image of ordinary size. With so many boxes, some choices are always close.
    "resnet50-fpn-large": ("resnet50-fpn", {"frozen-stages": 0}, 91, [(480, 640)], False, "1"),
}
TOO_LARGE_TO_COMMIT = ("resnet50-fpn-large",)


def make_detector(backbone, settings, **parts):
    """FasterRCNN with these settings, passed under torchvision's names."""
    arguments = {key.replace("-", "_"): value for key, value in settings.items()}
    for key in ("frozen_stages", "box_head_size", "box_dropout"):
        arguments.pop(key, None)
    if "anchor_sizes" in arguments:
        levels = arguments.pop("anchor_sizes").split(";")
        sizes = tuple(tuple(int(size) for size in level.split(",")) for level in levels)
        arguments["rpn_anchor_generator"] = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    if "short_side" in arguments:
        arguments.update(min_size=arguments.pop("short_side"), max_size=arguments.pop("long_side"))
    return FasterRCNN(backbone, **arguments, **parts)


def resnet_fpn(depth, settings, classes):
    """fasterrcnn_resnet50_fpn. Its own builder freezes batch normalisation only if it loads weights."""
    backbone = resnet_fpn_backbone(backbone_name=f"resnet{depth}", weights=None, norm_layer=FrozenBatchNorm2d,
                                   trainable_layers=5)
    return make_detector(backbone, settings, num_classes=classes)


class Named(nn.Sequential):
    """A backbone with one map, under the name that FasterRCNN uses."""

    def forward(self, x):
        for module in self:
            x = module(x)
        return x if isinstance(x, dict) else OrderedDict([("0", x)])


class Layer4Head(nn.Module):
    """The last stage of a ResNet applied to each pooled region, followed by the mean over its map."""

    def __init__(self, layer4):
        super().__init__()
        self.layer4 = layer4

    def forward(self, x):
        return self.layer4(x).mean((2, 3))


def resnet50_c4(settings, classes):
    whole = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = Named(OrderedDict(body=IntermediateLayerGetter(whole, {"layer3": "0"})))
    backbone.out_channels = 1024
    return make_detector(backbone, settings, box_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
                         box_head=Layer4Head(whole.layer4), box_predictor=FastRCNNPredictor(2048, classes))


class RoIPoolFirst(nn.Module):
    """RoIPool with the arguments of MultiScaleRoIAlign."""

    output_size = (7, 7)

    def __init__(self):
        super().__init__()
        self.pool = RoIPool(7, 1 / 16)

    def forward(self, features, boxes, image_shapes):
        return self.pool(features["0"], boxes)


def vgg16_roi_pool(settings, classes):
    backbone = Named(OrderedDict(body=vgg16(weights=None).features[:-1]))
    backbone.out_channels = 512
    width = settings["box-head-size"]
    model = make_detector(backbone, settings, box_head=TwoMLPHead(512 * 49, width),
                          box_predictor=FastRCNNPredictor(width, classes))
    model.roi_heads.box_roi_pool = RoIPoolFirst()
    return model


def make_model(name, settings, classes, salt):
    """The model with weights made by the formula."""
    if name == "resnet50-c4":
        model = resnet50_c4(settings, classes)
    elif name == "vgg16":
        model = vgg16_roi_pool(settings, classes)
    else:
        model = resnet_fpn(int(name[6:8]), settings, classes)
    state = model.state_dict()
    model.load_state_dict({name: torch.from_numpy(formula.weight(salt, name, tuple(tensor.shape)))
                           for name, tensor in state.items()})
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model
