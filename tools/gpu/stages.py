"""The list of all stages of gpu_first.py and gpu_check.py. A new check of the programs is an entry here."""

import os

from gpu import checks, speed
from gpu.machine import ROOT
from gpu.runner import Failure, Skipped, Stage


def build(run):
    """Builds the programs for this card."""
    setup = run.setup
    if setup.bundle:
        raise Skipped("this is a bundle, whose programs are built")
    if not setup.toolkit.get("nvcc"):
        raise Failure("there is no nvcc in CUDA_HOME, on the PATH, in /usr/local/cuda or in Python's packages")
    deps = setup.deps or ("third_party_bundle" if (ROOT / "third_party_bundle").is_dir() else None)
    if not deps:
        run.notes.append("there is no third_party_bundle/, so the headers of this machine were used")
    # The compilers of this machine may warn where those that the project is developed with do not.
    switches = ["CUDA=1", "ONEDNN=0", f"CUDA_ARCHS={setup.gpu['arch']}", "BUILD=build/gpu-check", "WARNINGS=-w",
                "NVCC_WARNINGS="] + ([f"DEPS={deps}"] if deps else [])
    # When this script is started by make, the inner make must not inherit its jobs and switches.
    clean = {name: "" for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    run.run(["make", "-C", ROOT, f"-j{os.cpu_count()}", *switches, "build/gpu-check/rcnn", "build/gpu-check/rcnn_tests"],
            clean)
    run.found["summary"] = run.run([setup.program, "--version"]).strip()


# Seconds that a stage may take: in gpu_first.py (their sum is 7 minutes), in gpu_check.py, and in a rehearsal.
def limits(first, check, rehearsal=None):
    given = {"first": first, "check": check, "rehearsal": rehearsal or first}
    return {form: seconds for form, seconds in given.items() if seconds}


STAGES = [
    Stage("build", "builds the programs for this card", {"check": 1500}, build),
    Stage("probe", "clocks, copy bandwidth and matrix products of the card", limits(30, 60), speed.probe),
    Stage("conformance", "tests of single instructions", limits(10, 60, 60), checks.conformance),
    Stage("kernels", "tests of all kernels, one process an op", limits(60, 900, 120), checks.kernels),
    Stage("memcheck", "compute-sanitizer memcheck over the kernels", limits(60, 1800), checks.memcheck),
    Stage("racecheck", "compute-sanitizer racecheck over the kernels with shared memory", limits(45, 1800),
          checks.racecheck),
    Stage("losses", "the first losses of nano-fpn against the CPU's", limits(15, 120, 120), checks.losses),
    Stage("demo", "the demonstration, trained on GPU and CPU", {"check": 1800}, checks.demo),
    Stage("ops", "ops beside PyTorch, caches warm and cold", limits(85, 1800, 60), speed.ops),
    Stage("models", "a detection and a training step of whole models", limits(40, 900, 120), speed.models),
    Stage("torchvision", "the same models of torchvision", limits(45, 1800), speed.torchvision),
    Stage("profile", "ncu on the hottest kernels", limits(30, 120), speed.profile),
]


def stages_of(form, only=None):
    """The stages of a form, or those whose names are in `only`."""
    return [stage for stage in STAGES if form in stage.limits and (not only or stage.name in only)]


def list_of(form):
    """The stages of a form as text: names, limits in seconds, what they do."""
    return "\n".join(f"    {stage.name:<13}{stage.limits[form]:>5}  {stage.does}" for stage in stages_of(form))
