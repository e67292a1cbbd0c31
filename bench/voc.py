"""Pascal VOC for the Python peers: a reader of `Annotations`, and average precision by the plain definition.

Written apart from the program's C++ on purpose, so that the two can be checked against each other. Boxes are
continuous (x1, y1, x2, y2), the left edge of the first pixel being 0: VOC counts pixels from 1 and includes
the last one, so 1 is taken from xmin and ymin, and xmax and ymax stay.
"""

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

IOU_THRESHOLD = 0.5


def read_split(root, split):
    """The image ids of `ImageSets/Main/<split>.txt`; a missing `trainval` is train followed by val."""
    folder = Path(root) / "ImageSets" / "Main"
    if split == "trainval" and not (folder / "trainval.txt").exists():
        return read_split(root, "train") + read_split(root, "val")
    lines = (folder / f"{split}.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def read_objects(root, image_id):
    """The objects of one image: a list of (class name, (x1, y1, x2, y2), difficult).

    A box is clipped to the stated size of the image; one whose stated corners enclose nothing (xmax <= xmin
    or ymax <= ymin), or of which nothing is left, is dropped.
    """
    annotation = ElementTree.parse(Path(root) / "Annotations" / f"{image_id}.xml").getroot()
    width, height = (float(annotation.find(f"size/{key}").text) for key in ("width", "height"))
    objects = []
    for node in annotation.iter("object"):
        corners = (float(node.find(f"bndbox/{key}").text) for key in ("xmin", "ymin", "xmax", "ymax"))
        xmin, ymin, xmax, ymax = corners
        box = (max(xmin - 1, 0.0), max(ymin - 1, 0.0), min(xmax, width), min(ymax, height))
        if xmax > xmin and ymax > ymin and box[2] > box[0] and box[3] > box[1]:
            difficult = node.findtext("difficult", "0").strip() == "1"
            objects.append((node.findtext("name").strip(), box, difficult))
    return objects


def iou(a, b):
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    overlap = width * height
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def best_match(box, truths):
    """(index, IoU) of the truth that overlaps `box` most, the first of equals; (None, 0) where none does."""
    best, best_iou = None, 0.0
    for index, (truth, _) in enumerate(truths):
        overlap = iou(box, truth)
        if overlap > best_iou:
            best, best_iou = index, overlap
    return best, best_iou


def group_by_class(objects_by_image):
    """{class name: {image id: [(box, difficult)]}} from {image id: read_objects(...)}."""
    truths = defaultdict(lambda: defaultdict(list))
    for image_id, objects in objects_by_image.items():
        for name, box, difficult in objects:
            truths[name][image_id].append((box, difficult))
    return truths


def precision_recall(detections, truths):
    """Precision and recall after each detection of one class, best score first, equal scores as given.

    detections: [(image id, score, box)]; truths: {image id: [(box, difficult)]}, at least one not difficult.
    A detection belongs to the truth it overlaps most, if by half or more: ignored if that one is difficult,
    right if it is the first there, wrong otherwise.
    """
    positives = sum(not difficult for boxes in truths.values() for _, difficult in boxes)
    taken, right, wrong, precisions, recalls = set(), 0, 0, [], []
    for image_id, _, box in sorted(detections, key=lambda detection: -detection[1]):
        boxes = truths.get(image_id, [])
        index, overlap = best_match(box, boxes)
        matched = index is not None and overlap >= IOU_THRESHOLD
        if matched and boxes[index][1]:
            continue
        if matched and (image_id, index) not in taken:
            taken.add((image_id, index))
            right += 1
        else:
            wrong += 1
        precisions.append(right / (right + wrong))
        recalls.append(right / positives)
    return precisions, recalls


def area_ap(precisions, recalls):
    """VOC 2010's AP: the area under precision made monotone from the right."""
    area, best, end = 0.0, 0.0, len(recalls)
    for i in reversed(range(end)):
        best = max(best, precisions[i])
        area += (recalls[i] - (recalls[i - 1] if i > 0 else 0.0)) * best
    return area


def eleven_point_ap(precisions, recalls):
    """VOC 2007's AP: the mean over recall 0, .1, ... 1 of the best precision at that recall or more.

    The thresholds are k * .1 in double precision, as in the published evaluators: .3, .6 and .7 lie one bit
    above the recall 3/10, 6/10 and 7/10.
    """
    thresholds = [k * 0.1 for k in range(11)]
    return sum(max((p for p, r in zip(precisions, recalls) if r >= t), default=0.0) for t in thresholds) / 11


def average_precisions(detections, objects_by_image):
    """{class name: (area AP, 11-point AP)} for the classes that have an object which is not difficult.

    detections: [(image id, class name, score, box)].
    """
    result = {}
    for name, truths in sorted(group_by_class(objects_by_image).items()):
        if all(difficult for boxes in truths.values() for _, difficult in boxes):
            continue
        of_class = [(image_id, score, box) for image_id, label, score, box in detections if label == name]
        curve = precision_recall(of_class, truths)
        result[name] = (area_ap(*curve), eleven_point_ap(*curve))
    return result
