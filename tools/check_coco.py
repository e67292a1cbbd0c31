#!/usr/bin/env python3
"""Compares the twelve COCO figures of `rcnn eval --detections` with those of pycocotools on the same files.

    python3 -m venv /tmp/coco && /tmp/coco/bin/pip install pycocotools==2.0.11
    /tmp/coco/bin/python tools/check_coco.py                       # constructed and random cases
    /tmp/coco/bin/python tools/check_coco.py --data instances.json --detections results.json

The exit status is 1 unless the twelve figures, and the twelve of each class that has annotations, agree to
1e-12. With --keep DIR, the files of the first case that does not agree are copied to DIR.

The constructed cases are those where evaluators differ: crowds, areas on the border between two sizes, equal
scores, more than 100 detections, classes or images without ground truth or without detections, an empty
results file, duplicates, ids that are large, sparse or 0, and overlaps that are exactly a threshold. The id
of an annotation is never 0, because pycocotools treats a matched annotation with id 0 as unmatched.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError as error:
    sys.exit(f"{error}; expected `pip install pycocotools==2.0.11`.")

TOLERANCE = 1e-12
KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


# ---- the two sides

def mean(values):
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def figures_of_class(evaluation, k):
    """The twelve figures of class `k`, from the arrays that summarize() averages over all classes."""
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]  # (T, R, K, A, M), (T, K, A, M)
    t75 = numpy.where(evaluation.params.iouThrs == .75)[0][0]
    values = [precision[:, :, k, 0, 2], precision[0, :, k, 0, 2], precision[t75, :, k, 0, 2]]
    values += [precision[:, :, k, area, 2] for area in (1, 2, 3)]
    values += [recall[:, k, 0, max_dets] for max_dets in (0, 1, 2)]
    values += [recall[:, k, area, 2] for area in (1, 2, 3)]
    return dict(zip(KEYS, map(mean, values)))


def reference(data, detections):
    """The twelve figures of pycocotools, and {name: twelve figures} of the classes that have annotations."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data))
        if json.loads(Path(detections).read_text()):
            found = truth.loadRes(str(detections))
        else:  # loadRes needs at least one detection
            found = COCO()
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    with_truth = {a["category_id"] for a in truth.dataset["annotations"] if not a["iscrowd"]}
    return dict(zip(KEYS, map(float, evaluation.stats))), {
        truth.cats[category]["name"]: figures_of_class(evaluation, k)
        for k, category in enumerate(evaluation.params.catIds) if category in with_truth}


def ours(program, data, detections, folder):
    output = Path(folder) / "figures.json"
    subprocess.run([program, "eval", "--data", data, "--detections", detections, "--json", output], check=True,
                   stdout=subprocess.DEVNULL)
    figures = json.loads(output.read_text())
    return {key: figures[key] for key in KEYS}, figures.get("by_class", {})


def largest_difference(program, data, detections, folder):
    expected, expected_by_class = reference(data, detections)
    found, found_by_class = ours(program, data, detections, folder)
    if expected_by_class.keys() != found_by_class.keys():
        raise SystemExit(f"{data}: figures of the classes {sorted(found_by_class)}; "
                         f"expected {sorted(expected_by_class)}.")
    pairs = [(found[key], expected[key]) for key in KEYS]
    pairs += [(found_by_class[name][key], expected_by_class[name][key]) for name in expected_by_class
              for key in KEYS]
    return max(abs(a - b) for a, b in pairs), expected


# ---- generated data

class Case:
    """The ground truth and the detections of one case, which grow with each call."""

    def __init__(self, images=(1,), categories=(1,)):
        self.images, self.categories, self.annotations, self.results = list(images), list(categories), [], []

    def truth(self, box, image=1, category=1, crowd=0, area=None):
        self.annotations.append({"id": len(self.annotations) + 1, "image_id": image, "category_id": category,
                                 "bbox": list(box), "area": box[2] * box[3] if area is None else area,
                                 "iscrowd": crowd})

    def found(self, box, score, image=1, category=1):
        self.results.append({"image_id": image, "category_id": category, "bbox": list(box), "score": score})

    def write(self, folder):
        data, detections = Path(folder) / "truth.json", Path(folder) / "found.json"
        data.write_text(json.dumps({
            "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in self.images],
            "categories": [{"id": c, "name": f"class {c}"} for c in self.categories],
            "annotations": self.annotations}))
        detections.write_text(json.dumps(self.results))
        return data, detections


def crowds():
    case = Case()
    case.truth((0, 0, 200, 100), crowd=1)
    case.truth((10, 10, 40, 40))
    case.truth((300, 10, 40, 40))
    for i in range(6):
        case.found((20 * i, 50, 30, 30), .9 - .1 * i)  # a crowd absorbs any number of detections
    case.found((10, 10, 40, 40), .55)    # inside the crowd too, but it matches an object of its own
    case.found((190, 40, 20, 20), .5)    # half of it is in the crowd
    case.found((191, 40, 20, 20), .45)   # less than half
    case.found((300, 10, 40, 38), .4)
    yield "crowds", case

    case = Case(categories=(1, 2))
    case.truth((0, 0, 100, 100), crowd=1)
    case.truth((0, 0, 50, 50), category=2)
    case.found((0, 0, 50, 50), .9)
    case.found((0, 0, 50, 50), .8, category=2)
    yield "a class that has only a crowd", case


def sizes():
    for side in (32, 96):
        for excess in (-1, 0, 1e-9, 1):
            case = Case()
            case.truth((10, 10, side, side), area=side * side + excess)
            case.truth((300, 10, 20, 20), area=side * side)   # the area of the outline, not of the box
            case.found((10, 10, side, side), .9)
            case.found((300, 10, 20, 20), .8)
            case.found((200, 200, side, side + excess / side), .7)
            case.found((200, 300, side, side), .95)
            yield f"areas around {side}^2 ({excess:+g})", case


def orders():
    rng = random.Random(5)
    case = Case(images=(3, 1, 2))
    for image in (1, 2, 3):
        for x in range(0, 400, 50):
            case.truth((x, 0, 40, 40), image)
    for _ in range(60):
        x, image = rng.choice(range(0, 400, 50)), rng.choice((1, 2, 3))
        case.found((x, rng.choice((0, 5, 10, 90)), 40, 40), rng.choice((.5, .5, .7)), image)
    yield "tied scores", case

    for place in (10, 11, 100, 101, 250):
        case = Case()
        case.truth((0, 0, 50, 50))
        case.truth((100, 0, 50, 50))
        case.found((0, 0, 50, 50), .8)
        case.found((100, 0, 50, 50), .95)
        for i in range(place - 2):
            case.found((300 + i % 10, 200, 20, 20), .9)
        yield f"correct detections at ranks 1 and {place}", case

    case = Case()
    case.truth((0, 0, 50, 50))
    for _ in range(3):
        case.found((0, 0, 50, 50), .9)
    case.found((0, 0, 50, 49), .95)
    yield "duplicates", case

    case = Case()
    case.truth((0, 0, 50, 50))
    case.truth((0, 0, 50, 50))
    case.truth((0, 0, 50, 60))
    for score in (.9, .8, .7, .6):
        case.found((0, 0, 50, 50), score)
    yield "ground truths at the same place", case


def absences():
    case = Case(images=(1, 2, 3), categories=(1, 2, 3))
    case.truth((0, 0, 50, 50), 1, 1)
    case.truth((0, 0, 50, 50), 2, 1)                # an image without detections
    case.truth((0, 0, 50, 50), 1, 3)                # a class without detections
    case.found((0, 0, 50, 50), .6, 1, 1)
    case.found((0, 0, 50, 50), .7, 3, 1)            # an image without ground truth
    case.found((0, 0, 50, 50), .9, 1, 2)            # a class without ground truth
    yield "images and classes without truth or detections", case

    case = Case()
    case.truth((0, 0, 50, 50))
    yield "no detections at all", case
    case = Case()
    case.found((0, 0, 50, 50), .5)
    yield "no ground truth at all", case

    case = Case(images=(0, 9007199254740993, -4), categories=(90, 0, 2 ** 40))
    for image in case.images:
        for category in case.categories:
            case.truth((0, 0, 50, 50), image, category)
            case.found((0, 0, 50, 44), .5, image, category)
            case.found((10, 0, 50, 50), .5, image, category)
    yield "ids that are 0, negative or large", case

    case = Case()
    case.truth((0, 0, 0, 50))
    case.truth((10, 0, 20, 20))
    case.found((0, 0, 0, 50), .9)
    case.found((10, 0, 20, -20), .8)
    case.found((10, 0, 20, 20), .7)
    yield "boxes without area", case


def on_thresholds():
    """Overlaps of exactly h / 20 (.5, .55, ..., .95), at positions where sums are rounded and where they are not."""
    for shift in (0, .1, 1 / 3):
        case = Case()
        for i, h in enumerate(range(8, 21)):
            case.truth((30 * i + shift, shift, 20, 20))
            case.found((30 * i + shift, shift, 20, h), .9 - i / 100)
        yield f"overlaps on the thresholds, shifted by {shift:.3f}", case
    case = Case()
    for i in range(100):                            # recalls of exactly i / 100
        case.truth((6 * i, 0, 5, 5))
        if i % 3:
            case.found((6 * i, 0, 5, 5), .9)
    yield "recalls exactly on the recall points", case


def random_case(seed):
    """Draws boxes and scores from few values, so that many overlaps, areas and scores are equal or on thresholds."""
    rng = random.Random(seed)
    categories = rng.sample(range(0, 200), rng.choice((1, 3, 6)))
    images = rng.sample(range(0, 10 ** 6), rng.choice((1, 4, 15)))
    step = rng.choice((1, 1, .1, 2.5))
    case = Case(images, categories)

    def box():
        return [step * rng.randrange(0, 60), step * rng.randrange(0, 60)] + [
            step * rng.choice((4, 8, 10, 16, 20, 32, 40, 96, 100)) for _ in range(2)]

    for image in images:
        for _ in range(rng.choice((0, 1, 5, 20))):
            category, place = rng.choice(categories), box()
            area = rng.choice((None, None, 32 ** 2, 96 ** 2, place[2] * place[3] * .6))
            case.truth(place, image, category, int(rng.random() < .15), area)
            for _ in range(rng.choice((0, 1, 1, 3))):
                near = list(place)
                near[rng.randrange(4)] += step * rng.choice((-2, -1, 0, 0, 1, 2))
                case.found(near, rng.choice((.1, .25, .5, .75, rng.random())), image,
                           category if rng.random() < .9 else rng.choice(categories))
        for _ in range(rng.choice((0, 3, 40, 150))):
            case.found(box(), round(rng.random(), 1), image, rng.choice(categories))
    rng.shuffle(case.results)
    rng.shuffle(case.annotations)
    return f"random, seed {seed}", case


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(Path(__file__).resolve().parent.parent / "build/rcnn"))
    parser.add_argument("--data", help="a COCO annotations file")
    parser.add_argument("--detections", help="a COCO results file")
    parser.add_argument("--random", type=int, default=100, help="number of random cases [100]")
    parser.add_argument("--keep", metavar="DIR", help="folder for the files of the first case that does not agree")
    options = parser.parse_args()
    if bool(options.data) != bool(options.detections):
        parser.error("expected --data and --detections together, or neither.")

    worst, count = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        if options.data:
            worst, expected = largest_difference(options.program, options.data, options.detections, folder)
            count = 1
            print("\n".join(f"{key:<6}{expected[key]:10.6f}" for key in KEYS))
        else:
            cases = [case for make in (crowds, sizes, orders, absences, on_thresholds) for case in make()]
            cases += [random_case(seed) for seed in range(options.random)]
            for name, case in cases:
                difference, expected = largest_difference(options.program, *case.write(folder), folder)
                worst, count = max(worst, difference), count + 1
                if not difference <= TOLERANCE or not name.startswith("random"):
                    print(f"{name:<52}AP {expected['AP']:9.6f}   largest difference {difference:.1e}")
                if not difference <= TOLERANCE:
                    if options.keep:
                        shutil.copytree(folder, options.keep, dirs_exist_ok=True)
                    break
    if not worst <= TOLERANCE:
        raise SystemExit(f"The figures differ by {worst}; expected at most {TOLERANCE:g}.")
    print(f"rcnn and pycocotools agree on {count} cases; the largest difference is {worst:.1e}.")


if __name__ == "__main__":
    main()
