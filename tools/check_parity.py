"""Holds detections against torchvision: the same weights, the same images, the same detections.

    tools/check_parity.py --weights out/demo/best.safetensors --data out/demo/scenes --detections out/demo/detections.json

Loads a model into its twin put together from torchvision's parts (bench/torchvision_models.py), runs it on the
first images of a split, and pairs each detection of the file with the twin's nearest of its class. Exits with 1 where
counts differ, or a box by more than .01 pixel or a score by more than 1e-4. Use PNG images: JPEG decoders differ.

Needs torch, torchvision, numpy and Pillow (Debian: python3-torch python3-torchvision python3-pil).
"""

import argparse
import json
import pathlib
import struct
import sys

import numpy
import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from torchvision_models import MODELS  # noqa: E402


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = numpy.frombuffer(data[begin:end], numpy.float32).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors, metadata


def differences(ours, theirs):
    """(boxes, scores): the largest differences of detections in COCO's form and torchvision's nearest of their class."""
    worst_box = worst_score = 0.0
    for entry in ours:
        x, y, width, height = entry["bbox"]
        distance = (theirs["boxes"] - torch.tensor([x, y, x + width, y + height])).abs().amax(1)
        distance[theirs["labels"] != entry["category_id"]] = float("inf")
        nearest = int(distance.argmin())
        worst_box = max(worst_box, float(distance[nearest]))
        worst_score = max(worst_score, abs(float(theirs["scores"][nearest]) - entry["score"]))
    return worst_box, worst_score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--detections", required=True)
    parser.add_argument("--images", type=int, default=10)
    arguments = parser.parse_args()

    tensors, metadata = read_safetensors(arguments.weights)
    model = MODELS[metadata["model.model"]](len(json.loads(metadata["classes"])))
    model.transform.min_size = (int(metadata["model.short-side"]),)
    model.roi_heads.score_thresh = float(metadata["model.box-score-thresh"])
    model.transform.max_size = int(metadata["model.long-side"])
    outcome = model.load_state_dict(tensors, strict=False)
    missing = [name for name in outcome.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or outcome.unexpected_keys:
        sys.exit(f"missing: {missing}, unexpected: {outcome.unexpected_keys}")
    model.eval()

    found = json.loads(pathlib.Path(arguments.detections).read_text())
    root = pathlib.Path(arguments.data)
    names = (root / "ImageSets" / "Main" / f"{arguments.split}.txt").read_text().split()[:arguments.images]
    faults, total, worst_box, worst_score = 0, 0, 0.0, 0.0
    for name in names:
        path = next((root / "JPEGImages").glob(name + ".*"))
        pixels = torch.from_numpy(numpy.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            theirs = model([pixels])[0]
        ours = [entry for entry in found if entry["image_id"] == name]
        total += len(ours)
        faults += abs(len(ours) - len(theirs["boxes"]))
        box, score = differences(ours, theirs)
        worst_box, worst_score = max(worst_box, box), max(worst_score, score)
    print(f"{len(names)} images, {total} detections: counts differ by {faults}, boxes by at most {worst_box:.2g} pixel, "
          f"scores by at most {worst_score:.2g}")
    if not (total > 0 and faults == 0 and worst_box <= 0.01 and worst_score <= 1e-4):
        sys.exit(1)


if __name__ == "__main__":
    main()
