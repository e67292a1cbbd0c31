"""Compares a model's detections with those of torchvision, with the same weights on the same images.

    tools/check_parity.py --weights out/demo/best.safetensors --data out/demo/scenes --detections out/demo/detections.json

Loads the weights of a model (nano-fpn or a ResNet with a feature pyramid) into the same model built from torchvision's
parts (its twin), runs the twin on the first images of a split, and pairs each detection of the file with the nearest
detection of the twin that has the same class. Exits with 1 if the numbers of detections differ, if a box differs by
more than .01 pixel, or if a score differs by more than 1e-4. If the detections are those of a build without
libjpeg-turbo, use PNG images, because stb_image and PIL decode JPEG differently.

With --out FILE, nothing is compared: the twin's detections on the whole split are written to a file that
`rcnn eval --detections` can evaluate. --exported FILE takes the weights from a file that `rcnn export` wrote.

Needs torch, torchvision, numpy and Pillow (Debian: python3-torch python3-torchvision python3-pil).
"""

import argparse
import inspect
import json
import pathlib
import struct
import sys

import numpy
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "parity")]
import torchvision_models  # noqa: E402
from torchvision.models.detection import FasterRCNN  # noqa: E402


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
    """(boxes, scores): the largest differences between our detections, in COCO's results format, and the nearest
    detections of torchvision with the same class."""
    worst_box = worst_score = 0.0
    for entry in ours:
        x, y, width, height = entry["bbox"]
        distance = (theirs["boxes"] - torch.tensor([x, y, x + width, y + height])).abs().amax(1)
        distance[theirs["labels"] != entry["category_id"]] = float("inf")
        nearest = int(distance.argmin())
        worst_box = max(worst_box, float(distance[nearest]))
        worst_score = max(worst_score, abs(float(theirs["scores"][nearest]) - entry["score"]))
    return worst_box, worst_score


def twin(metadata):
    """The torchvision model that a checkpoint's metadata describes."""
    settings = {key[len("model."):]: value for key, value in metadata.items() if key.startswith("model.")}
    name, classes = settings["model"], len(json.loads(metadata["classes"]))
    if name in ("resnet18-fpn", "resnet34-fpn", "resnet50-fpn", "resnet101-fpn"):
        import models
        known = inspect.signature(FasterRCNN).parameters
        taken = {key: float(value) if "thresh" in key or "fraction" in key else int(value)
                 for key, value in settings.items()
                 if key.startswith(("rpn-", "box-")) and key != "box-head" and key.replace("-", "_") in known}
        taken.update({"short-side": int(settings["short-side"]), "long-side": int(settings["long-side"]),
                      "anchor-sizes": settings["anchor-sizes"]})
        return models.resnet_fpn(int(name[6:-4]), taken, classes + 1)
    model = torchvision_models.MODELS[name](classes)
    model.transform.min_size = (int(settings["short-side"]),)
    model.transform.max_size = int(settings["long-side"])
    model.roi_heads.score_thresh = float(settings["box-score-thresh"])
    return model


def load_image(root, name):
    path = next((root / "JPEGImages").glob(name + ".*"))
    return torch.from_numpy(numpy.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255


def write_results(path, model, root, names, classes, ids):
    """Writes the detections of all images in COCO's results format."""
    rows = []
    for name in names:
        with torch.no_grad():
            found = model([load_image(root, name)])[0]
        for label, score, (x1, y1, x2, y2) in zip(*(found[key].tolist() for key in ("labels", "scores", "boxes"))):
            rows.append({"image_id": name, "category_id": ids[label - 1], "category_name": classes[label - 1],
                         "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
    pathlib.Path(path).write_text(json.dumps(rows))
    print(f"{path}: {len(rows)} detections on {len(names)} images")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--detections", help="file to compare with the twin's detections")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--exported")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if not arguments.detections and not arguments.out:
        parser.error("expected --detections or --out")

    tensors, metadata = read_safetensors(arguments.weights)
    model = twin(metadata)
    if arguments.exported:
        model.load_state_dict(read_safetensors(arguments.exported)[0], strict=True)
    else:
        outcome = model.load_state_dict(tensors, strict=False)
        missing = [name for name in outcome.missing_keys if not name.endswith("num_batches_tracked")]
        if missing or outcome.unexpected_keys:
            sys.exit(f"missing: {missing}, unexpected: {outcome.unexpected_keys}")
    model.eval()

    root = pathlib.Path(arguments.data)
    names = (root / "ImageSets" / "Main" / f"{arguments.split}.txt").read_text().split()
    if arguments.out:
        classes = json.loads(metadata["classes"])
        ids = json.loads(metadata.get("category_ids", "null")) or range(1, len(classes) + 1)
        return write_results(arguments.out, model, root, names, classes, ids)
    found = json.loads(pathlib.Path(arguments.detections).read_text())
    names = names[:arguments.images]
    faults, total, worst_box, worst_score = 0, 0, 0.0, 0.0
    for name in names:
        with torch.no_grad():
            theirs = model([load_image(root, name)])[0]
        ours = [entry for entry in found if entry["image_id"] == name]
        total += len(ours)
        faults += abs(len(ours) - len(theirs["boxes"]))
        box, score = differences(ours, theirs)
        worst_box, worst_score = max(worst_box, box), max(worst_score, score)
    print(f"{len(names)} images, {total} detections: the counts differ by {faults}, boxes by at most "
          f"{worst_box:.2g} pixel, scores by at most {worst_score:.2g}")
    if not (total > 0 and faults == 0 and worst_box <= 0.01 and worst_score <= 1e-4):
        sys.exit(1)


if __name__ == "__main__":
    main()
