"""Writes what torchvision computes, with which the C++ side is compared (tests/parity/compare.cpp).

    tests/parity/torchvision_side.py --full build/parity --expected tests/parity/expected [CASE ...]

Writes one .safetensors file per case: to --full with every tensor whole, and to --expected with only a fixed sample of
the elements of large tensors. Needs torch, torchvision and numpy (Debian 12: python3-torch python3-torchvision).
"""

import argparse
import json
import pathlib
import struct

import numpy
import torch
import torchvision

import formula
import models
import stages

# Tensors with more than WHOLE elements are sampled: SAMPLED elements (8 for other stages), and three numbers computed
# from all of them.
WHOLE, SAMPLED = 300, {"input": 64, "features": 64, "rpn": 64, "pooled": 64, "head": 256}
KEPT_WHOLE = ("proposals/", "detections/", "truth/", "training/anchors_sampled", "training/roi", "training/proposal")
# A gradient that changes by more than this under noise of the size of rounding is not compared strictly (stages.train).
SETTLED = 2e-4
SGD = {"learning_rate": 0.001, "momentum": 0.9, "weight_decay": 0.01}


def write_safetensors(path, tensors, metadata):
    names = {"float32": "F32", "int32": "I32", "uint8": "U8"}
    arrays = {name: numpy.ascontiguousarray(value) for name, value in tensors.items()}
    arrays = dict(sorted(arrays.items(), key=lambda entry: -entry[1].itemsize))  # aligned
    header, end = {"__metadata__": metadata}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": names[str(array.dtype)], "shape": array.shape,
                        "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values()))


def sample(name, array):
    """The elements that the formula picks, then the largest magnitude, the mean and the mean magnitude."""
    count = SAMPLED.get(name.split("/")[0], 8)
    flat = array.reshape(-1)
    picked = flat[formula.bits(name, count).astype(numpy.int64) % flat.size]
    wide = flat.astype(numpy.float64)
    return numpy.concatenate([picked, [abs(wide).max(), wide.mean(), abs(wide).mean()]]).astype(numpy.float32)


def in_brief(tensors):
    """(tensors small enough to be committed, shapes of the sampled tensors)."""
    brief, shapes = {}, {}
    for name, array in tensors.items():
        if name.startswith("double"):  # the plain loops of the C++ side would take minutes
            continue
        if array.size <= WHOLE and not name.startswith(("gradients/", "step ")) or name.startswith(KEPT_WHOLE):
            brief[name] = array
        else:
            brief[name] = sample(name, array)
            shapes[f"shape.{name}"] = ", ".join(map(str, array.shape))
    return brief, shapes


def objects_on(salt, index, image, size, proposals, classes):
    """Four objects on image `index`. They are proposals of the RPN moved by up to an eighth of their sides, to whole
    pixels, so that some RoIs are foreground without being a ground-truth box. `size` is that of the resized image."""
    taken = proposals[formula.bits(f"{salt}/taken{index}", 4).astype(numpy.int64) % len(proposals)].numpy()
    scale = numpy.tile(numpy.array(image.shape[:0:-1]) / size[::-1], 2)
    shift = (formula.bits(f"{salt}/shift{index}", 16).reshape(4, 4) >> numpy.uint32(24)) / 1024 - 0.125
    sides = numpy.tile(taken[:, 2:] - taken[:, :2], 2)
    boxes = numpy.round((taken + shift * sides) * scale)
    boxes = boxes.clip(0, numpy.tile(image.shape[:0:-1], 2))
    labels = 1 + formula.bits(f"{salt}/labels{index}", 4).astype(numpy.int64) % (classes - 1)
    return {"boxes": torch.from_numpy(boxes.astype(numpy.float32)), "labels": torch.from_numpy(labels)}


def run(case, salt=None):
    """(tensors, metadata) of a case. `salt`, if given, replaces the salt of the case."""
    name, settings, classes, sizes, trained, own_salt = models.CASES[case]
    salt = salt or own_salt
    torch.manual_seed(0)
    model = models.make_model(name, settings, classes, salt)
    batch = [torch.from_numpy(formula.image(salt, i, *size)).permute(2, 0, 1) / 255 for i, size in enumerate(sizes)]
    unsettled = {}
    with torch.no_grad():
        tensors, clear = stages.detect(model, batch)
    if trained:
        resized, proposals = tensors["input/size"].numpy(), tensors["proposals/boxes"]
        targets = [objects_on(salt, i, batch[i], resized[i], proposals[i], classes) for i in range(len(sizes))]
        of_training, clear_training, changes = stages.train(model, batch, targets, SGD)
        tensors.update(of_training)
        tensors["truth/objects"] = torch.stack([t["boxes"] for t in targets])
        tensors["truth/labels"] = torch.stack([t["labels"] for t in targets]).to(torch.int32)
        clear = min(clear, clear_training)
        unsettled = {f"unsettled.{name}": f"{change:.1e}" for name, change in changes.items() if change > SETTLED}
    metadata = {"model": name, "classes": str(classes), "salt": salt, "trained": str(trained).lower(),
                "images": "; ".join(f"{height}, {width}" for height, width in sizes), "clearance": f"{clear:.3g}",
                **{key: str(value) for key, value in SGD.items()}, **unsettled,
                **{f"model.{key}": str(value) for key, value in {"model": name, **settings}.items()}}
    return {name: tensor.numpy() for name, tensor in tensors.items()}, metadata


def save_for_exchange(folder, case):
    """Saves the weights of a case as users of torchvision do, and its first image as a file: see exchange.py."""
    name, settings, classes, sizes, _, salt = models.CASES[case]
    state = models.make_model(name, settings, classes, salt).state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "theirs.pth")
    write_safetensors(folder / "theirs.safetensors", {key: value.numpy() for key, value in state.items()}, {})
    photo = torch.from_numpy(formula.image(salt, 0, *sizes[0])).permute(2, 0, 1)
    torchvision.io.write_png(photo, str(folder / "photo.png"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=pathlib.Path, required=True)
    parser.add_argument("--expected", type=pathlib.Path)
    parser.add_argument("--salt", help="replaces the salts of the cases, to search for one with clear choices")
    parser.add_argument("cases", nargs="*", default=list(models.CASES))
    options = parser.parse_args()
    for case in options.cases:
        tensors, metadata = run(case, options.salt)
        options.full.mkdir(parents=True, exist_ok=True)
        write_safetensors(options.full / f"{case}.safetensors", tensors, metadata)
        if options.expected and case not in models.TOO_LARGE_TO_COMMIT:
            brief, shapes = in_brief(tensors)
            options.expected.mkdir(parents=True, exist_ok=True)
            write_safetensors(options.expected / f"{case}.safetensors", brief, {**metadata, **shapes})
        print(f"{case}: {len(tensors)} tensors, choices clear by {metadata['clearance']}, "
              f"{sum(key.startswith('unsettled.') for key in metadata)} gradients and steps unsettled", flush=True)
    if "resnet50-fpn-wide" in options.cases:
        save_for_exchange(options.full / "exchange", "resnet50-fpn-wide")


if __name__ == "__main__":
    main()
