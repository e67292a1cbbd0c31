#!/usr/bin/env python3
"""Recomputes average precision at IoU .5 from a detections file, with a public evaluator written by others.

    python3 -m venv /tmp/ap && /tmp/ap/bin/pip install object-detection-metrics==0.4.post1 shapely
    /tmp/ap/bin/python tools/check_ap.py --data VOC --split test --detections FILE --summary summary.json
    /tmp/ap/bin/python tools/check_ap.py --self-test

Detections are in COCO's results format with the image's id and the class's name; boxes are continuous
(x, y, w, h) in pixels of the original image. With --summary, the exit status is 1 unless the figures `map50`
and `ap50` (area under the curve) and `map50_voc07` and `ap50_voc07` (11 points) agree to 1e-6; `ap50_voc07`
may be absent.

Of the evaluators on PyPI, object-detection-metrics (import name podm; its undeclared dependency is shapely)
has the semantics of the VOC devkit for continuous boxes: widths without +1, IoU >= .5, each detection is
assigned to the ground truth with the highest IoU, equal scores stay in the file's order, double precision
without rounding, and a mean over the classes that have objects. It does not know `difficult` objects:
`without_difficult` below removes them and the detections assigned to them, which is exactly the rule of the
devkit. Two other evaluators were considered and rejected: mean-average-precision (widths with +1, IoU > .5,
difficult objects counted as positives, unstable order of equal scores, float32 results) and pycocotools
(101 recall points, and a detection may be matched with its second-best ground truth).

--self-test compares podm with the plain computation in bench/voc.py on generated detections with equal
scores, duplicates, difficult objects and images without any object.
"""

import argparse
import json
import random
import sys
from pathlib import Path

try:
    from podm.metrics import BoundingBox, MethodAveragePrecision, MetricPerClass, get_pascal_voc_metrics
except ImportError as error:
    sys.exit(f"{error}; expected `pip install object-detection-metrics==0.4.post1 shapely`.")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
import voc

TOLERANCE = 1e-6


def read_detections(path):
    """[(image id, class name, score, (x1, y1, x2, y2))] in the file's order."""
    rows = json.loads(Path(path).read_text())
    return [(str(row["image_id"]), row["category_name"], row["score"], (x, y, x + w, y + h))
            for row in rows for x, y, w, h in [row["bbox"]]]


def without_difficult(detections, objects_by_image):
    """The detections and objects without the difficult objects and the detections assigned to them."""
    truths = voc.group_by_class(objects_by_image)

    def is_absorbed(detection):
        image_id, name, _, box = detection
        boxes = truths[name][image_id]
        index, overlap = voc.best_match(box, boxes)
        return index is not None and overlap >= voc.IOU_THRESHOLD and boxes[index][1]

    objects = [(image_id, name, box) for image_id, rows in objects_by_image.items()
               for name, box, difficult in rows if not difficult]
    return [detection for detection in detections if not is_absorbed(detection)], objects


def evaluate(detections, objects_by_image):
    """podm's {"area": ({class: AP}, mean), "eleven": ({class: AP}, mean)} over the classes with objects."""
    detections, objects = without_difficult(detections, objects_by_image)
    truth = [BoundingBox.of_bbox(image_id, name, *box) for image_id, name, box in objects]
    found = [BoundingBox.of_bbox(image_id, name, *box, score) for image_id, name, score, box in detections]
    methods = {"area": MethodAveragePrecision.AllPointsInterpolation,
               "eleven": MethodAveragePrecision.ElevenPointsInterpolation}
    figures = {}
    for key, method in methods.items():
        metrics = get_pascal_voc_metrics(truth, found, voc.IOU_THRESHOLD, method)
        by_class = {name: float(m.ap) for name, m in metrics.items() if m.num_groundtruth > 0}
        figures[key] = (by_class, float(MetricPerClass.mAP(metrics)))
    return figures


def print_figures(figures):
    (area, mean_area), (eleven, mean_eleven) = figures["area"], figures["eleven"]
    print(f"{'class':<20}{'AP50 (area)':>14}{'AP50 (11 points)':>19}")
    for name in area:
        print(f"{name:<20}{area[name]:>14.6f}{eleven[name]:>19.6f}")
    print(f"{'mean':<20}{mean_area:>14.6f}{mean_eleven:>19.6f}")


def differences(figures, summary):
    """One sentence for each figure of the summary that is missing or differs by more than the tolerance."""
    (area, mean_area), (eleven, mean_eleven) = figures["area"], figures["eleven"]
    rows = [("map50", mean_area, summary.get("map50")),
            ("map50_voc07", mean_eleven, summary.get("map50_voc07"))]
    rows += [(f"ap50 of {name}", ap, summary.get("ap50", {}).get(name)) for name, ap in area.items()]
    if "ap50_voc07" in summary:
        given = summary["ap50_voc07"]
        rows += [(f"ap50_voc07 of {name}", ap, given.get(name)) for name, ap in eleven.items()]
    return [f"{key} is {found}, expected {value:.9f}." for key, value, found in rows
            if found is None or not abs(found - value) <= TOLERANCE]


def scene(rng):
    """One generated image: (objects, [(class name, score, box)]). Scores are coarse, so that many are equal."""
    objects, found = [], []
    for _ in range(rng.choice([0, 1, 4, 12])):
        x, y = rng.uniform(0, 500), rng.uniform(0, 300)
        box = (x, y, x + rng.uniform(5, 120), y + rng.uniform(5, 120))
        name = rng.choice("abc")
        objects.append((name, box, rng.random() < 0.2))
        for _ in range(rng.choice([0, 1, 1, 2])):
            shaken = tuple(v + rng.gauss(0, 6) for v in box)
            if shaken[2] > shaken[0] and shaken[3] > shaken[1]:
                label = name if rng.random() < 0.9 else rng.choice("abcd")
                found.append((label, round(rng.random(), 2), shaken))
    for _ in range(rng.choice([0, 2])):
        x, y = rng.uniform(0, 500), rng.uniform(0, 300)
        found.append((rng.choice("abcd"), round(rng.random() / 2, 2), (x, y, x + 40, y + 30)))
    return objects, found


def self_test():
    """Compares podm with bench/voc.py on 40 generated datasets. Class `d` is detected but has no objects."""
    worst = 0.0
    for seed in range(40):
        rng = random.Random(seed)
        objects, detections = {}, []
        for image in range(rng.choice([12, 40])):
            objects[str(image)], found = scene(rng)
            detections += [(str(image), *row) for row in found]
        objects["last"] = [(name, (10, 10, 50, 50), False) for name in "abc"]
        detections.append(("last", "a", 0.5, (10, 10, 50, 30)))  # an IoU of exactly one half
        figures, plain = evaluate(detections, objects), voc.average_precisions(detections, objects)
        for index, key in enumerate(("area", "eleven")):
            by_class, mean = figures[key]
            assert by_class.keys() == plain.keys() == set("abc")
            pairs = [(by_class[name], plain[name][index]) for name in plain]
            pairs.append((mean, sum(ap[index] for ap in plain.values()) / len(plain)))
            assert 0.05 < mean < 0.95, f"Seed {seed} does not test anything: its mean AP is {mean}."
            worst = max(worst, *(abs(a - b) for a, b in pairs))
    if not worst <= 1e-12:
        raise SystemExit(f"podm and bench/voc.py differ by {worst}; expected at most 1e-12.")
    print(f"podm and bench/voc.py agree on 40 datasets; the largest difference is {worst:.1e}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with Annotations and ImageSets/Main")
    parser.add_argument("--split", default="test")
    parser.add_argument("--detections", help="JSON file in COCO's results format")
    parser.add_argument("--summary", help="summary.json of the run that wrote the detections")
    parser.add_argument("--self-test", action="store_true", help="compare podm with bench/voc.py and exit")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if not options.data or not options.detections:
        parser.error("expected --data and --detections, or --self-test.")

    objects = {image_id: voc.read_objects(options.data, image_id)
               for image_id in voc.read_split(options.data, options.split)}
    detections = read_detections(options.detections)
    strange = sorted({image_id for image_id, *_ in detections} - objects.keys())
    if strange:
        raise SystemExit(f"{options.detections} has detections for image '{strange[0]}', which is not in the "
                         f"split '{options.split}' of {options.data}.")
    figures = evaluate(detections, objects)
    print_figures(figures)
    if options.summary:
        wrong = differences(figures, json.loads(Path(options.summary).read_text()))
        if wrong:
            raise SystemExit("\n".join(f"{options.summary}: {line}" for line in wrong))
        print(f"{options.summary} agrees to {TOLERANCE:g}.")


if __name__ == "__main__":
    main()
