#!/usr/bin/env python3
"""Builds, tests and times the project on a machine with an NVIDIA GPU.

    tools/gpu_check.py                        runs every stage, one after another
    tools/gpu_check.py --quick                trains the demonstration for two epochs only
    tools/gpu_check.py --only build,tests     runs these stages; the results of the others stay as they were

Needs nvcc, g++, make and Python, but no package registry: headers and libraries come from third_party_bundle/
if `make deps-bundle` has filled it. Writes the results to bench/results/<gpu>.json, and tables of them to
bench/results/<gpu>.md; the output of every command is kept in out/gpu-check/logs. A stage that fails or exceeds
its time limit is reported, and the next one runs. The exit status is 0 if all stages pass.

Stages: build; tests (all tests, on the GPU); memcheck and racecheck (compute-sanitizer on the kernel tests);
demo (trained on the GPU and on the CPU, and compared); ops (times every variant, cuDNN, cuBLAS and PyTorch);
models (times a training step and a detection, here and in torchvision).
"""

import argparse
import datetime
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import gpu_report
from gpu_stage import Failure, Stage, json_lines

ROOT = Path(__file__).resolve().parent.parent
WORK = Path("out/gpu-check")  # under ROOT, which is the working directory
BUILD = Path("build/gpu-check")
PROGRAM, TESTS = BUILD / "rcnn", BUILD / "rcnn_tests"

LIMITS = {"build": 1500, "tests": 600, "memcheck": 1200, "racecheck": 1200, "demo": 1200, "ops": 1200,
          "models": 1800}  # seconds

FIRST_STEPS, LOSS_TOLERANCE = 20, 1e-3  # relative
MAP_TOLERANCE = 0.02


def query_gpu():
    """{"name", "arch" ("90a"), "driver", "memory"} of the first GPU. Raises Failure if there is none."""
    fields = "name,compute_cap,driver_version,memory.total"
    try:
        done = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        raise Failure("no GPU was found on this machine: nvidia-smi cannot be run") from None
    if done.returncode != 0:
        said = (done.stdout.strip().splitlines() or ["nothing"])[0]
        raise Failure(f"no GPU was found on this machine: nvidia-smi says `{said}`")
    first = [part.strip() for part in done.stdout.strip().splitlines()[0].split(",")]
    if len(first) != 4 or not re.fullmatch(r"\d+\.\d", first[1]):
        raise Failure(f"nvidia-smi printed `{', '.join(first)}`; expected {fields}")
    arch = first[1].replace(".", "")
    return {"name": first[0], "arch": "90a" if arch == "90" else arch, "driver": first[2], "memory": first[3]}


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def commit():
    if not shutil.which("git"):
        return "unreleased"
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--tags"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unreleased"


# ---- stages ------------------------------------------------------------------------------------------------


def build(stage):
    if not stage.toolkit.get("nvcc"):
        raise Failure("there is no nvcc in CUDA_HOME, on the PATH, in /usr/local/cuda or in Python's packages")
    deps = stage.options.deps or ("third_party_bundle" if Path("third_party_bundle").is_dir() else None)
    if not deps:
        stage.notes.append("there is no third_party_bundle/, so the headers of this machine were used")
    # The compilers of this machine may warn where those that the project is developed with do not.
    switches = ["CUDA=1", "ONEDNN=0", f"CUDA_ARCHS={stage.gpu['arch']}", f"BUILD={BUILD}", "WARNINGS=-w",
                "NVCC_WARNINGS="] + ([f"DEPS={deps}"] if deps else [])
    # When this script is started by make, the inner make must not inherit its jobs and switches.
    clean = {name: "" for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    stage.run(["make", f"-j{os.cpu_count()}", *switches, PROGRAM, TESTS], clean)
    stage.found["version"] = stage.run([PROGRAM, "--version"]).strip()


def summary_of_tests(text):
    """The last counts that doctest printed: "412 test cases, 91234 assertions"."""
    counts = dict(re.findall(r"\[doctest\] (test cases|assertions):\s*(\d+)", text))
    return ", ".join(f"{counts[key]} {key}" for key in ("test cases", "assertions") if key in counts)


def tests(stage):
    # This fails if CUDA finds no device. Without a device the tests would pass, because they would use only the CPU.
    stage.run([PROGRAM, "bench", "ops", "--device=cuda", "--op=softmax", "--seconds=0.01"])
    text = stage.run([TESTS], {"RCNN_PROGRAM": str(PROGRAM)})
    stage.found["summary"] = summary_of_tests(text)


def sanitizer(stage, tool, clean_summary):
    program = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path=str(Path(stage.toolkit.get("nvcc", "/")).parent))
    if not program:
        raise Failure("compute-sanitizer is neither on the PATH nor next to nvcc")
    # Only this project's kernels are checked, not those of cuDNN and cuBLAS. The option has had several names.
    offered = stage.run([program, "--help"])
    chosen = [option for option in ("--kernel-regex", "--kernel-name", "--filter") if option in offered][:1]
    only_ours = [chosen[0], "kns=rcnn"] if chosen else []
    # Libraries make calls that are allowed to fail; the project checks its own calls.
    quiet = ["--report-api-errors", "no"] if tool == "memcheck" else []
    text = stage.run([program, "--tool", tool, "--error-exitcode", 9, *only_ours, *quiet, TESTS,
                      "--source-file=*tests/kernels/*"], {"RCNN_PROGRAM": str(PROGRAM)})
    said = re.findall(r"=+ ((?:ERROR|RACECHECK) SUMMARY: .*)", text)
    if not said or not re.search(clean_summary, said[-1]):
        raise Failure(f"{tool} says `{said[-1] if said else 'nothing'}`")
    if re.match("0 |$", summary_of_tests(text)):
        raise Failure(f"no test ran under {tool}")
    stage.found["summary"] = f"{said[-1]}; {summary_of_tests(text)}"


def memcheck(stage):
    sanitizer(stage, "memcheck", r"SUMMARY: 0 errors")


def racecheck(stage):
    sanitizer(stage, "racecheck", r"SUMMARY: 0 hazards")


def losses(folder):
    """{step: total loss} of a training run."""
    rows = json_lines((folder / "metrics.jsonl").read_text())
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def relative(value, expected):
    """The difference relative to `expected`; infinite if either is not a number, which JSON stores as null."""
    return abs(value - expected) / abs(expected) if value is not None and expected else math.inf


def compare_runs(gpu, cpu):
    """Compares two runs of the demonstration, given by their folders: (what was found, one sentence per fault)."""
    ours, theirs = losses(gpu), losses(cpu)
    steps = [step for step in range(1, FIRST_STEPS + 1) if step in ours and step in theirs]
    faults = []
    if len(steps) != FIRST_STEPS:
        faults.append(f"metrics.jsonl has {len(steps)} of the first {FIRST_STEPS} steps in both runs")
    difference = {step: relative(ours[step], theirs[step]) for step in steps}
    if steps:
        worst = max(steps, key=difference.get)
        if not difference[worst] <= LOSS_TOLERANCE:
            faults.append(f"the loss of step {worst} is {ours[worst]} on the GPU and {theirs[worst]} on the CPU: "
                          f"{difference[worst]:.1e} apart, expected at most {LOSS_TOLERANCE:g}")
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (gpu, cpu)]
    maps = [summary["map50"] for summary in summaries]
    if not abs(maps[0] - maps[1]) <= MAP_TOLERANCE:
        faults.append(f"mAP@.5 is {maps[0]:.4f} on the GPU and {maps[1]:.4f} on the CPU; expected at most "
                      f"{MAP_TOLERANCE:g} apart")
    found = {"steps": summaries[0]["steps"], "loss_difference": difference[worst] if steps else None,
             "map50_gpu": maps[0], "map50_cpu": maps[1], "seconds_gpu": summaries[0]["train_seconds"],
             "seconds_cpu": summaries[1]["train_seconds"]}
    return found, faults


def demo(stage):
    scenes = WORK / "scenes"
    for folder in (scenes, WORK / "cuda", WORK / "cpu"):
        shutil.rmtree(folder, ignore_errors=True)
    for split, count, seed in (("train", 900, 1), ("val", 50, 1), ("test", 100, 2)):  # as in `make demo`
        stage.run([PROGRAM, "synth", f"--out={scenes}", f"--count={count}", f"--seed={seed}",
                   f"--split={split}"])
    for device in ("cuda", "cpu"):
        stage.run([PROGRAM, "train", "--config=examples/demo.toml", f"--data={scenes}", "--val=val",
                   "--test=test", f"--out={WORK / device}", f"--device={device}", "--precision=f32",
                   *(["--epochs=2"] if stage.options.quick else [])])
    stage.found, faults = compare_runs(WORK / "cuda", WORK / "cpu")
    stage.faults += faults


def shape_text(shapes):
    """[[1, 2], [3]] -> "1x2 3". The first three shapes are enough to identify a case."""
    text = " ".join("x".join(map(str, shape)) or "1" for shape in shapes[:3])
    return text + (" ..." if len(shapes) > 3 else "")


def ops(stage):
    ours, theirs = WORK / "ops.json", WORK / "torch_ops.json"
    for file in (ours, theirs):
        file.unlink(missing_ok=True)
    stage.attempt(stage.run, [PROGRAM, "bench", "ops", "--device=cuda", f"--seconds={stage.options.seconds}",
                              f"--json={ours}"])
    if not ours.exists():
        return
    rows = json.loads(ours.read_text())["ops"]
    for row in rows:
        row["inputs"], row["outputs"] = shape_text(row["inputs"]), shape_text(row["outputs"])
    stage.found = {"ours": rows}
    if stage.has_module("torch"):
        stage.peer([stage.options.python, "bench/torch_ops.py", ours, theirs])
    if theirs.exists():
        peers = json.loads(theirs.read_text())
        stage.found["theirs"] = peers.pop("ops")
        stage.found["peers"] = peers
        stage.notes += [f"PyTorch failed on {row['op']} case {row['case']} {row['precision']}: {row['error']}"
                        for row in stage.found["theirs"] if "error" in row]


def times_of(text):
    """{what: median seconds} from the `--json` output of a model's benchmark."""
    return {row["what"]: statistics.median(row["seconds"]) for row in json_lines(text) if "seconds" in row}


def models(stage):
    """Times this program and its peers in turn, round by round. The figure is the median of the rounds."""
    peer = stage.has_module("torchvision")
    rounds = {}

    def measure(name, precision, text):
        for what, seconds in (times_of(text) if text else {}).items():
            rounds.setdefault((what, precision, name), []).append(seconds)

    def one_round(precision):
        for graph in (False, True):
            text = stage.attempt(stage.run, [PROGRAM, "bench", "model", "--model=nano-fpn", "--device=cuda",
                                             "--json", f"--precision={precision}",
                                             *(["--cuda-graph"] if graph else [])])
            measure("ours, graph" if graph else "ours", precision, text)
        if peer:
            measure("torchvision", precision, stage.peer(twin(precision)))

    def twin(precision):
        return [stage.options.python, "bench/torchvision_models.py", "--device=cuda",
                f"--precision={precision}"]

    for _ in range(stage.options.rounds):
        for precision in stage.precisions():
            one_round(precision)
    if peer:  # last, and only once, because compiling takes minutes
        for precision in stage.precisions():
            measure("torch.compile", precision, stage.peer([*twin(precision), "--compile", "--warm-up=10"]))
    stage.found["times"] = [{"what": what, "precision": precision, "program": name,
                             "ms": statistics.median(seconds) * 1e3, "rounds": len(seconds)}
                            for (what, precision, name), seconds in rounds.items()]


STAGES = {"build": build, "tests": tests, "memcheck": memcheck, "racecheck": racecheck, "demo": demo, "ops": ops,
          "models": models}

# ---- the whole check ---------------------------------------------------------------------------------------


def find_toolkit():
    """{"nvcc", "cuda" ("13.0")}, or an empty dictionary if there is no nvcc."""
    text = subprocess.run(["sh", "tools/find_cuda.sh"], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"^NVCC := (\S+)", text, re.MULTILINE)
    if not found:
        return {}
    version = subprocess.run([found[1], "--version"], stdout=subprocess.PIPE, text=True).stdout
    release = re.search(r"release ([\d.]+)", version)
    return {"nvcc": found[1], "cuda": release[1] if release else "unknown"}


def run_stage(name, options, gpu, toolkit):
    """Runs one stage and returns its entry in the results."""
    print(f"{name}:", flush=True)
    stage = Stage(name, options.limit or LIMITS[name], options, gpu, toolkit)
    begin = time.monotonic()
    try:
        STAGES[name](stage)
    except Failure as failure:
        stage.faults.append(str(failure))
    except (OSError, ValueError, KeyError, TypeError) as error:  # a file is missing or has an unexpected form
        stage.faults.append(f"{type(error).__name__}: {error}")
    seconds = time.monotonic() - begin
    for line in stage.notes:
        print(f"  note: {line}")
    for line in stage.faults:
        print(f"  FAILED: {line}")
    print(f"  {'failed' if stage.faults else 'passed'} after {seconds:.0f} s", flush=True)
    return {"passed": not stage.faults, "faults": stage.faults, "notes": stage.notes, "seconds": round(seconds, 1),
            "date": now(), "commit": commit(), "found": stage.found}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="STAGES", help=f"run only these, separated by commas: {','.join(STAGES)}")
    parser.add_argument("--quick", action="store_true", help="train the demonstration for two epochs")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="time limit of each stage, instead of its own")
    parser.add_argument("--seconds", type=float, default=0.05, help="time spent on each variant and shape [0.05]")
    parser.add_argument("--rounds", type=int, default=3, help="number of times that the models are timed [3]")
    parser.add_argument("--results", type=Path, default=Path("bench/results"), help="output folder [bench/results]")
    parser.add_argument("--python", default=sys.executable, help="the Python that has PyTorch [this one]")
    parser.add_argument("--deps", help="folder of headers and libraries [third_party_bundle, if it exists]")
    options = parser.parse_args()
    options.results = options.results.resolve()
    options.stages = options.only.split(",") if options.only else list(STAGES)
    unknown = [name for name in options.stages if name not in STAGES]
    if unknown:
        parser.error(f"--only {options.only}: there is no stage {unknown[0]}; expected some of {', '.join(STAGES)}.")
    return options


def main():
    options = parse_options()
    os.chdir(ROOT)
    try:
        gpu = query_gpu()
    except Failure as failure:
        sys.exit(f"gpu-check: {failure}.")
    toolkit = find_toolkit()
    print(f"{gpu['name']}, sm_{gpu['arch']}, driver {gpu['driver']}, CUDA {toolkit.get('cuda', 'not found')}")
    file = options.results / f"{slug(gpu['name'])}.json"
    earlier = json.loads(file.read_text())["stages"] if file.exists() else {}
    results = {"gpu": gpu, "cuda": toolkit.get("cuda", "not found"), "stages": earlier}
    options.results.mkdir(parents=True, exist_ok=True)
    for name in options.stages:
        results["stages"][name] = run_stage(name, options, gpu, toolkit)
        # Written after each stage, so that the results remain if a later stage stops the program.
        file.write_text(gpu_report.to_json(results))
        file.with_suffix(".md").write_text(gpu_report.to_markdown(results))
    failed = [name for name in options.stages if not results["stages"][name]["passed"]]
    print(f"results: {file} and {file.with_suffix('.md').name}")
    print("gpu-check: " + (f"failed: {', '.join(failed)}" if failed else "all passed"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
