"""Runs of `rcnn train` as several processes, for the scripts beside this file: starts them, and compares what they
leave."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

UNEQUAL_BY_NATURE = {"report.html", "run.lock"}  # the report says how long the run took
TIMES = {"train_seconds", "images_per_second", "command_line"}  # of the summary
MPI_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    # In a container and as root: no shared memory by system calls that a container forbids.
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


def has_mpi(program):
    """Whether the program can be started by an mpirun that is here."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return "MPI" in version and shutil.which("mpirun") is not None


def mpirun(processes, *more):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", *more, "-n", str(processes)]


def options(settings):
    """{"batch": 1} -> ["--batch", "1"]; None stands for an option without a value."""
    words = []
    for name, value in settings.items():
        words += [f"--{name}"] + ([] if value is None else [str(value)])
    return words


def train(program, data, out, settings):
    return [str(program), "train", "--data", str(data), "--out", str(out), *options(settings)]


def run(words, seconds=300, threads=1):
    """Runs a command that must succeed. Returns its output and how long it took."""
    begin = time.monotonic()
    environment = os.environ | MPI_ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout, time.monotonic() - begin


def run_without_mpi(words, processes, folder, seconds=300):
    """Runs a command in so many processes that meet in a folder, and must all succeed. Returns rank 0's output and how
    long it took."""
    begin = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(processes)}
    started = [subprocess.Popen([*words, *options({"rendezvous": folder})], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=environment | {"RANK": str(rank)})
               for rank in range(processes)]
    outputs = [process.communicate(timeout=seconds)[0] for process in started]
    for process, output in zip(started, outputs):
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(process.args)}\nended with {process.returncode}:\n{output[-2000:]}")
    return outputs[0], time.monotonic() - begin


def make_scenes(program, folder, train_images, val_images, width=120, height=90):
    for split, count, seed in (("train", train_images, 1), ("val", val_images, 2)):
        run([str(program), "synth", *options({"out": folder, "split": split, "count": count, "seed": seed,
                                               "width": width, "height": height, "objects": 3,
                                               "min-size": 20, "max-size": 60})])


def read_safetensors(file):
    """The metadata, and the bytes of each tensor."""
    content = Path(file).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = content[8 + length :]
    return metadata, {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}


def without_times(file):
    """What must be equal of a file that another run has written."""
    if file.name == "last.safetensors":
        metadata, tensors = read_safetensors(file)
        return {k: v for k, v in metadata.items() if k not in TIMES}, tensors
    if file.name == "summary.json":
        return {k: v for k, v in json.loads(file.read_text()).items() if k not in TIMES}
    return file.read_bytes()


def files_of(folder):
    files = {f.relative_to(folder) for f in Path(folder).rglob("*") if f.is_file()}
    return {f for f in files if f.name not in UNEQUAL_BY_NATURE}


def differences(one, other):
    """The names of the files of two runs that differ, or that only one of them has."""
    a, b = files_of(one), files_of(other)
    return sorted(str(f) for f in a | b
                  if f not in a or f not in b or without_times(one / f) != without_times(other / f))
