"""Pascal VOC for the Python scripts: a reader of `Annotations`, and average precision by its plain definition.

Written independently of the program's C++ code, so that the two can be checked against each other. Boxes are
continuous (x1, y1, x2, y2), with the left edge of the first pixel at 0. VOC counts pixels from 1 and includes
the last one; therefore 1 is subtracted from xmin and ymin, while xmax and ymax stay.
"""

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

IOU_THRESHOLD = 0.5


def read_split(root, split):
    """The image ids of `ImageSets/Main/<split>.txt`. If there is no `trainval`, it is train followed by val."""
    folder = Path(root) / "ImageSets" / "Main"
    if split == "trainval" and not (folder / "trainval.txt").exists():
        return read_split(root, "train") + read_split(root, "val")
    lines = (folder / f"{split}.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def read_objects(root, image_id):
    """The objects of one image: a list of (class name, (x1, y1, x2, y2), difficult).

    A box is clipped to the image size given in the annotation. It is dropped if it is empty, either as annotated
    (xmax <= xmin or ymax <= ymin) or after clipping.
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
    """(index, IoU) of the ground truth with the highest IoU, the first among equals; (None, 0) if none overlaps."""
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
    """Precision and recall after each detection of one class, in order of score, equal scores in the given order.

    detections: [(image id, score, box)]; truths: {image id: [(box, difficult)]}, at least one of them not
    difficult. A detection is assigned to the ground truth with the highest IoU, if that is at least .5. It is
    ignored if that ground truth is difficult, a true positive if it is the first one assigned to it, and a false
    positive otherwise.
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
    """The AP of VOC 2010: the area under the precision-recall curve, with precision made monotone from the right."""
    area, best, end = 0.0, 0.0, len(recalls)
    for i in reversed(range(end)):
        best = max(best, precisions[i])
        area += (recalls[i] - (recalls[i - 1] if i > 0 else 0.0)) * best
    return area


def eleven_point_ap(precisions, recalls):
    """The AP of VOC 2007: the mean, over recalls 0, .1, ..., 1, of the highest precision at that recall or above.

    The thresholds are k * .1 in double precision, as in the published evaluators: .3, .6 and .7 are one bit above
    the recalls 3/10, 6/10 and 7/10.
    """
    thresholds = [k * 0.1 for k in range(11)]
    return sum(max((p for p, r in zip(precisions, recalls) if r >= t), default=0.0) for t in thresholds) / 11


def average_precisions(detections, objects_by_image):
    """{class name: (area AP, 11-point AP)} for the classes that have an object that is not difficult.

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
