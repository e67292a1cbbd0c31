#!/usr/bin/python3
"""Trains nano-fpn, built from torchvision's parts, from scratch: the peer of this program's own training.

    bench/torchvision_train.py --data VOC        trains, then evaluates mAP@.5 on a split

The result is one JSON object on standard output; progress goes to standard error. The environment variable
OMP_NUM_THREADS sets the number of threads (2 by default).
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from pathlib import Path

# Imported before torch, because it chooses the BLAS kernels.
from torchvision_models import make_optimizer, nano_fpn, set_threads, train_step

import torch
import torchvision

import voc


def load_image(root, image_id):
    """The pixels of the image as bytes, (3, H, W)."""
    for suffix in (".jpg", ".jpeg", ".png"):
        path = Path(root) / "JPEGImages" / (image_id + suffix)
        if path.exists():
            return torchvision.io.read_image(str(path), torchvision.io.ImageReadMode.RGB)
    raise SystemExit(f"{root}: no JPEG or PNG in JPEGImages for image '{image_id}'.")


def flip(image, boxes, axis):
    """The image (3, H, W) and its boxes, mirrored along x (axis 0) or y (axis 1)."""
    length = image.shape[2 - axis]
    boxes = boxes.clone()
    boxes[:, [axis, axis + 2]] = length - boxes[:, [axis + 2, axis]]
    return image.flip(2 - axis), boxes


def training_sample(root, image_id, label_of, rng):
    """One image, scaled to 0..1, and its target without difficult objects. Flipped along each axis with
    probability 1/2."""
    image = load_image(root, image_id)
    objects = [o for o in voc.read_objects(root, image_id) if not o[2]]
    boxes = torch.tensor([box for _, box, _ in objects], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label_of[name] for name, _, _ in objects], dtype=torch.int64)
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, boxes = flip(image, boxes, axis)
    return image / 255, {"boxes": boxes, "labels": labels}


def batches(ids, size, rng):
    """Endless batches of ids. Every epoch has a new order, and a batch may span two epochs."""
    batch = []
    while True:
        for image_id in rng.sample(ids, len(ids)):
            batch.append(image_id)
            if len(batch) == size:
                yield batch
                batch = []


def learning_rate(step, options):
    """A cosine that falls to zero over all steps, multiplied by a linear warm-up."""
    warm_up = min(1.0, (step + 1) / options.warm_up_steps) if options.warm_up_steps > 0 else 1.0
    return options.lr * warm_up * 0.5 * (1 + math.cos(math.pi * step / options.steps))


def evaluate(model, options, names):
    """(detections, {class: (area AP, 11-point AP)}) on the test split. Boxes are in pixels of the original images."""
    model.eval()
    detections, objects = [], {}
    for image_id in voc.read_split(options.data, options.test):
        objects[image_id] = voc.read_objects(options.data, image_id)
        with torch.inference_mode():
            found = model([load_image(options.data, image_id) / 255])[0]
        rows = zip(*(found[key].tolist() for key in ("labels", "scores", "boxes")))
        for label, score, box in rows:
            detections.append((image_id, names[label - 1], score, box))
    return detections, voc.average_precisions(detections, objects)


def write_detections(path, detections, names):
    """Writes the detections in COCO's results format."""
    rows = [{"image_id": image_id, "category_id": names.index(name) + 1, "category_name": name,
             "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            for image_id, name, score, (x1, y1, x2, y2) in detections]
    Path(path).write_text(json.dumps(rows))


def train(options):
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    ids = voc.read_split(options.data, options.train_split)
    names = sorted({name for image_id in ids for name, _, _ in voc.read_objects(options.data, image_id)})
    label_of = {name: index + 1 for index, name in enumerate(names)}
    model = nano_fpn(len(names), options.short_side).train()
    optimizer = make_optimizer(model, options.lr)
    source = batches(ids, options.batch, rng)

    start = time.perf_counter()
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options)
        samples = [training_sample(options.data, image_id, label_of, rng) for image_id in next(source)]
        loss = train_step(model, optimizer, *zip(*samples))
        if not math.isfinite(loss):
            raise SystemExit(f"The loss is {loss} at step {step + 1}; expected a finite number.")
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}/{options.steps}, loss {loss:.3f}", file=sys.stderr)
    train_seconds = time.perf_counter() - start

    detections, by_class = evaluate(model, options, names)
    if options.detections:
        write_detections(options.detections, detections, names)
    if options.weights:
        torch.save(model.state_dict(), options.weights)
    print(json.dumps({
        "what": "train", "seed": options.seed, "steps": options.steps,
        "images_seen": options.steps * options.batch,
        "map50": statistics.mean(area for area, _ in by_class.values()),
        "map50_voc07": statistics.mean(eleven for _, eleven in by_class.values()),
        "ap50": {name: area for name, (area, _) in by_class.items()},
        "ap50_voc07": {name: eleven for name, (_, eleven) in by_class.items()},
        "train_seconds": train_seconds, "threads": torch.get_num_threads()}), flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with JPEGImages, Annotations, ImageSets/Main")
    parser.add_argument("--train-split", default="trainval")
    parser.add_argument("--test", default="test", help="split to evaluate on")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--steps", type=int, default=236)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short-side", type=int, default=240, help="the shorter side of images after resizing")
    parser.add_argument("--lr", type=float, default=0.04, help="maximum learning rate")
    parser.add_argument("--warm-up-steps", type=int, default=50, help="steps of linear learning rate warm-up")
    parser.add_argument("--detections", help="write the detections to this file, in COCO's results format")
    parser.add_argument("--weights", help="write the final weights (state_dict) to this file")
    return parser.parse_args()


if __name__ == "__main__":
    set_threads()
    train(parse_options())
