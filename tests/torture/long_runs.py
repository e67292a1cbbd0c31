"""Thousands of training steps and of detections, whose memory stays within 5 % after the first tenth."""

import random
import shutil
import threading
import time

from tests.torture.commands import TRAINING

STEPS, IMAGES = 2000, 5000
MAX_GROWTH = 1.05
SIZES = [(48, 64), (64, 48), (64, 64), (80, 64), (56, 96), (96, 56), (72, 88), (64, 112)]


class Memory(threading.Thread):
    """Notes the resident memory of a process, in MB, with how much of its work is done."""

    def __init__(self, pid, done):
        super().__init__(daemon=True)
        self.pid, self.done, self.seen, self.ended = pid, done, [], False
        self.start()

    def run(self):
        while not self.ended:
            try:
                with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                    self.seen.append((self.done(), int(file.read().split()[1]) * 4096 / 1e6))
            except (OSError, IndexError, ValueError):
                return
            time.sleep(0.05)

    def figures(self, total):
        """The largest memory in the second tenth of the work, and in the rest."""
        self.ended = True
        early = [mb for done, mb in self.seen if total * 0.1 <= done < total * 0.2]
        late = [mb for done, mb in self.seen if total * 0.2 <= done < total]
        return max(early, default=0), max(late, default=0)


def lines_of(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except OSError:
        return 0


def watch(attack, name, words, done, total):
    from tests.torture.trials import require

    def action():
        start = time.monotonic()
        process = attack.start([str(word) for word in words])
        memory = Memory(process.pid, lambda: done(process))
        status = process.wait()
        run = attack.finish(process)
        require(status == 0, f"exit status {status}: {run.end}")
        early, late = memory.figures(total)
        seconds, growth = time.monotonic() - start, late / max(early, 1e-9) - 1
        print(f"{name}: {seconds:.0f} s, {early:.1f} MB in the second tenth, at most {late:.1f} MB later "
              f"({growth:+.1%}, {len(memory.seen)} readings)", flush=True)
        require(early > 0, "it was too fast to be watched")
        require(late <= early * MAX_GROWTH, f"its memory grew from {early:.1f} to {late:.1f} MB")

    attack.count("long run", name, action, "--only-long")


def run_all(attack):
    rng = random.Random(1)
    data = attack.root / "long"
    for i, (width, height) in enumerate(SIZES):  # all in one folder: synth adds splits to it
        words = f"synth --split s{i} --count 8 --seed {i} --objects 2 --min-size 16 --max-size 40"
        attack.run_command([*words.split(), "--width", str(width), "--height", str(height), "--out", str(data)])
    lists = data / "ImageSets/Main"
    (lists / "train.txt").write_text("".join((lists / f"s{i}.txt").read_text() for i in range(len(SIZES))))
    shutil.rmtree(attack.out, ignore_errors=True)
    training = [*TRAINING]
    training[training.index("--checkpoint-every") + 1] = "100"
    metrics = attack.out / "metrics.jsonl"
    # On one thread: beside other programs ops with more of them come to use fewer, and oneDNN's primitives for that
    # number take 30 MB, once.
    words = ["train", "--data", data, "--out", attack.out, "--steps", STEPS, *training, "--threads", "1"]
    watch(attack, f"{STEPS} training steps", words, lambda process: lines_of(metrics), STEPS)
    scenes = sorted((data / "JPEGImages").iterdir())
    links = attack.root / "scenes"
    links.mkdir()
    for i in range(IMAGES):
        (links / f"{i:05}.png").symlink_to(rng.choice(scenes))
    shutil.rmtree(attack.out, ignore_errors=True)
    words = "detect --weights {in}/a.safetensors --pictures none --device cpu --score 0.1".split()
    watch(attack, f"{IMAGES} detections", [*words, "--out", attack.out, links],
          lambda process: lines_of(process.files[0]), IMAGES)
