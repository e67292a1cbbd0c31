"""The commands that are attacked: small ones, on generated scenes, each well below a second."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SCENES = "--width 64 --height 64 --objects 2 --min-size 16 --max-size 40".split()
TRAINING = """--short-side 64 --rpn-batch-size-per-image 32 --rpn-pre-nms-top-n-train 50 --rpn-post-nms-top-n-train 50
  --rpn-pre-nms-top-n-test 20 --rpn-post-nms-top-n-test 20 --box-pool-size 3 --box-head-size 32
  --box-batch-size-per-image 16 --box-detections-per-img 10 --batch 2 --lr 0.02 --warmup 2 --checkpoint-every 1
  --device cpu --workers 1""".split()


@dataclass
class Command:
    """`words` are the arguments; {in} and {out} stand for the folders of inputs and outputs."""

    name: str
    words: list
    before: Path = None  # what the folder of outputs holds before the command, or nothing
    retry: list = None  # what is added to `words` to go on after a failure
    clean: dict = field(default_factory=dict)  # the state after a run without a fault
    old: dict = field(default_factory=dict)  # the state before
    calls: dict = field(default_factory=dict)  # how often each function is called
    metrics: bytes = b""  # what metrics.jsonl holds after a training without a fault

    @property
    def trains(self):
        return self.name in ("train", "resume")


def make_commands():
    detect = "detect --weights {in}/a.safetensors --out {out} --device cpu --workers 1 --score 0.1".split()
    model = "--weights {in}/a.safetensors --data {in}/data --device cpu --workers 1".split()
    train = ["train", "--data", "{in}/data", "--out", "{out}", "--steps", "4", *TRAINING]
    commands = [
        Command("train", train, retry=["--resume"]),
        Command("resume", [*train, "--resume"]),
        Command("detect", [*detect, "{in}/data/JPEGImages"]),
        Command("export", "export --weights {in}/a.safetensors --out {out}/exported.safetensors".split()),
        Command("propose", ["propose", *model, "--out", "{out}/proposals.json"]),
        Command("eval", ["eval", *model, *"--split test --out {out}/found.json --json {out}/eval.json --report "
                         "{out}/eval.html --model-out {out}/model.safetensors".split()]),
        Command("compare", "compare {in}/a.safetensors {in}/b.safetensors --data {in}/data --split test --device cpu "
                "--json {out}/compare.json --out {out}/compare.html".split()),
        Command("synth", ["synth", "--out", "{out}/scenes", "--count", "3", *SCENES]),
        Command("check", ["check", "{in}/data"]),
    ]
    for to in ("voc", "coco", "yolo"):
        commands.append(Command(f"convert-{to}", f"data convert {{in}}/data --to {to} --out {{out}}/new".split()))
    commands += [
        Command("split", "data split {in}/data --parts train=.6,val=.4 --to coco --out {out}/new".split()),
        Command("merge", "data merge {in}/data {in}/more --to voc --out {out}/new".split()),
        Command("filter", "data filter {in}/data --min-side 20 --to yolo --out {out}/new".split()),
        Command("draw", "data draw {in}/data --out {out}/drawn --workers 1".split()),
    ]
    return commands


def make_inputs(program, folder):
    """Scenes in two data folders, and two models with different weights."""

    def run(*words):
        subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL)

    for split, count, seed in (("train", 6, 1), ("val", 2, 2), ("test", 2, 3)):
        run("synth", "--out", folder / "data", "--split", split, "--count", str(count), "--seed", str(seed), *SCENES)
    run("synth", "--out", folder / "more", "--count", "3", "--seed", "9", *SCENES)
    for name, seed in (("a", "1"), ("b", "2")):
        out = folder / "training"
        run("train", "--data", folder / "data", "--out", out, "--steps", "6", "--seed", seed, *TRAINING)
        shutil.copy(out / "best.safetensors", folder / f"{name}.safetensors")
        shutil.rmtree(out)
