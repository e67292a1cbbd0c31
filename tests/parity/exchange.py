"""Exchanges weights between the two programs: the second half of the check that test_parity.cpp begins.

    tests/parity/exchange.py --program build/rcnn --folder build/parity/exchange

`ours.safetensors` is a detector of this program, with the weights that torchvision saved. The program exports it,
torchvision loads the exported file with strict=True, and both run detection on photo.png. Then the program detects with
what torchvision's fasterrcnn_resnet50_fpn saves, random weights in both forms of .pth and without metadata. Exits with 1
unless both find the same objects, with boxes within .01 pixel and scores within 1e-4.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import torch
import torchvision

import models

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from check_parity import differences, read_safetensors  # noqa: E402


def compare(what, folder, theirs):
    found = json.loads((folder / "detections.json").read_text())
    worst_box, worst_score = differences(found, theirs)
    print(f"exchange, {what}: {len(found)} detections here, {len(theirs['boxes'])} by torchvision; "
          f"boxes differ by at most {worst_box:.2g} pixel, scores by at most {worst_score:.2g}")
    if not (0 < len(found) == len(theirs["boxes"]) and worst_box <= 0.01 and worst_score <= 1e-4):
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    options = parser.parse_args()
    folder = options.folder
    ours, exported, photo = folder / "ours.safetensors", folder / "exported.safetensors", folder / "photo.png"
    subprocess.run([options.program, "export", "--weights", ours, "--out", exported], check=True)
    subprocess.run([options.program, "detect", "--weights", ours, "--out", folder / "detections", photo], check=True)

    name, settings, classes, _, _, _ = models.CASES["resnet50-fpn-wide"]
    model = models.make_model(name, settings, classes, "other weights")
    model.load_state_dict(read_safetensors(exported)[0], strict=True)
    model.eval()
    image = torchvision.io.read_image(str(photo)) / 255
    with torch.no_grad():
        compare("exported weights", folder / "detections", model([image])[0])

    name, settings, classes, _, _, _ = models.CASES["resnet50-fpn-large"]  # all settings are torchvision's
    model = models.make_model(name, settings, classes, "without metadata").eval()
    with torch.no_grad():
        theirs = model([image])[0]
    for form in ("zip", "old"):
        weights = folder / f"{form}.pth"
        torch.save(model.state_dict(), weights, _use_new_zipfile_serialization=form == "zip")
        subprocess.run([options.program, "detect", "--weights", weights, "--out", folder / form, photo], check=True)
        weights.unlink()
        compare(f"{form} .pth without metadata", folder / form, theirs)


if __name__ == "__main__":
    main()
