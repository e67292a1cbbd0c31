"""The stages that check results: tests, compute-sanitizer, and trainings compared with the CPU's."""

import json
import math
import re
import shutil
import tempfile
from pathlib import Path

from gpu.machine import ROOT
from gpu.runner import Failure, Skipped, json_lines

LOSS_TOLERANCE = 1e-3  # relative, of the first losses
MAP_TOLERANCE = 0.02

# The ops whose kernels use shared memory, which is what racecheck looks at.
SHARED_MEMORY = ("conv2d", "conv2d_dx", "conv2d_dw", "matmul", "epilogue_backward", "batch_norm", "batch_norm_backward",
                 "batch_norm_moments", "batch_norm_gradient_sums", "group_norm", "group_norm_backward", "match", "sample",
                 "gather_boxes", "nms", "top_k", "softmax", "roi_align_backward", "roi_pool_backward", "sgd",
                 "clip_gradients", "moving_average")
# These take longest, so they are started first.
LONGEST = ("conv2d", "conv2d_dx", "conv2d_dw", "matmul")
# What a rehearsal runs of them, because a simulated GPU takes minutes for the convolutions.
REHEARSED = ("softmax", "sgd", "top_k", "upsample_add", "moving_average")
# Everything that runs on a device; the test that compares the variants of an op with its reference is one of them.
DEVICE_TESTS = ",".join(f"*tests/{path}" for path in (
    "kernels/*", "layers/test_cuda*", "layers/test_packed_layers*", "train/test_cuda*", "train/test_ranks_step*",
    "train/test_ema*", "bench/test_peaks*"))
# Tests among them that have no part on a device and take over a minute on one thread.
ON_CPUS = ("winograd", "panels")
VARIANTS = ": every variant agrees with the reference"


# ---- tests, one process for each op ------------------------------------------------------------------------


def list_tests(run, source, ending=""):
    """{op: its number of tests} of the tests in files that match `source` and with names that end so. A test's name
    begins with its op."""
    text = run.run([run.setup.tests, "--list-test-cases", f"--source-file={source}", "--no-colors=true"])
    counts = {}
    for line in text.splitlines():
        if line.strip() and line.endswith(ending) and not line.startswith(("[doctest]", "====")):
            op = line.split(":")[0]
            counts[op] = counts.get(op, 0) + 1
    return counts


def filter_of(op, ending=""):
    """doctest's filter for the tests whose name is `op`, or `op`, a colon and more. A comma would separate two
    filters, so it becomes a wildcard."""
    name = re.sub(r"[,*\\]", "?", op)
    return f"--test-case={name}{ending}" if ending else f"--test-case={name},{name}:*"


def tests_run(text):
    """The number of test cases that doctest ran, and of its assertions."""
    found = re.findall(r"\[doctest\] (test cases|assertions):\s*(\d+)", text)
    counts = {key: int(value) for key, value in found}
    return counts.get("test cases", 0), counts.get("assertions", 0)


def first_error(text):
    """The first error of a failed test, on one line."""
    lines = [line.strip() for line in text.splitlines()]
    for i, line in enumerate(lines):
        if "ERROR:" in line or "FATAL" in line:
            return " ".join(part for part in lines[i:i + 3] if part)[:300]
    return next((line for line in reversed(lines) if line), "it printed nothing")[:300]


def errors_in(text):
    """The first error of a test that was stopped, or None."""
    return first_error(text) if "ERROR:" in text else None


def run_tests(run, source, ending="", *, libraries=False, only=None, without=(), wrapper=(), environment=None, judge=None,
              judge_stopped=errors_in):
    """Runs the tests in files that match `source`, one process for each op, as many at a time as there are cores
    for. `wrapper` is put before the command. `judge(text)` returns a fault or None, besides the exit status;
    `judge_stopped(text)` does of a process that was stopped at the time limit."""
    setup = run.setup
    counts = list_tests(run, source, ending)
    if not counts:
        raise Skipped(f"this build has no tests in {source}")
    if only is not None:
        counts = {op: count for op, count in counts.items() if op in only}
    counts = {op: count for op, count in counts.items() if op not in without}
    ops = sorted(counts, key=lambda op: (LONGEST.index(op) if op in LONGEST else len(LONGEST), op))
    jobs = max(1, min(12, setup.cores - 2 if setup.cores > 4 else setup.cores))
    of_libraries = {"RCNN_VENDOR_LIBRARIES": "0"}
    if libraries:
        of_libraries = {**setup.with_libraries(), "RCNN_TEST_LIBRARIES": "1"}
    settings = {"RCNN_PROGRAM": str(setup.program), "OMP_NUM_THREADS": str(max(1, setup.cores // jobs)),
                **of_libraries, **(environment or {})}
    if setup.simulated:
        settings["RCNN_TEST_ORDERS"] = "1"
    commands = {op: [*wrapper, setup.tests, f"--source-file={source}", filter_of(op, ending), "--no-colors=true"]
                for op in ops}
    ended = run.run_all(commands, jobs, settings)
    cases = assertions = 0
    for op in ops:
        if op not in ended or ended[op].status is None:
            run.unfinished.append(op)
            if op in ended and (fault := judge_stopped(ended[op].text)):
                run.faults.append(f"{op}, before it was stopped: {fault}")
            continue
        text = ended[op].text
        found = tests_run(text)
        cases, assertions = cases + found[0], assertions + found[1]
        fault = judge(text) if judge else None
        if ended[op].status != 0 and not fault:
            fault = f"exit status {ended[op].status}: {first_error(text)}"
        if not fault and found[0] < counts[op]:
            fault = f"{found[0]} of its {counts[op]} tests ran"
        if fault:
            run.faults.append(f"{op}: {fault}")
    done = len(ops) - len(run.unfinished)
    run.found["summary"] = f"{done} of {len(ops)} ops, {cases} tests, {assertions} assertions"


def conformance(run):
    """The tests of single instructions and of the launching code. What a card gives is written beside the results."""
    words = run.setup.folder / "intrinsics.txt"
    run_tests(run, "*tests/core/cuda/*", environment={"RCNN_INTRINSICS": str(words)})


def kernels(run):
    require_device(run)
    only = REHEARSED if run.setup.simulated else None
    thorough = run.setup.form == "check"
    # A card writes here the outputs whose bits are not those of the simulation.
    differing = run.setup.folder / "digest_values.safetensors"
    differing.unlink(missing_ok=True)
    run_tests(run, "*tests/*" if thorough else DEVICE_TESTS, only=only, without=() if thorough else ON_CPUS, libraries=thorough,
              environment={} if run.setup.simulated else {"RCNN_DIGEST_VALUES": str(differing)})


def require_device(run):
    """Fails if the program finds no device. Without one the tests would pass, because they would use only the CPU."""
    run.run([run.setup.program, "bench", "ops", "--device=cuda", "--op=softmax", "--seconds=0"])


def refusal(text):
    """What a tool of NVIDIA says where the machine does not let it look at a GPU, as in some virtual ones, or None."""
    said = re.search(r"Device not supported|ERR_NVGPUCTRPERM.*|Failed to initialize the profiler.*", text)
    return said[0].strip() if said else None


# ---- compute-sanitizer -------------------------------------------------------------------------------------


def where(text):
    """The first line of compute-sanitizer that reports something, or None."""
    found = re.search(r"=+ ((?:Invalid|Error|Uninitialized|Race|Warning|Potential)[^\n]*)", text)
    return found[1] if found else None


def sanitizer(run, tool, clean, options, only=None):
    run.setup.require_gpu("compute-sanitizer")
    program = run.setup.tool("compute-sanitizer")
    # Only this project's kernels are checked, not those of libraries. The option has had several names.
    offered = run.run([program, "--help"])
    chosen = [option for option in ("--kernel-regex", "--kernel-name", "--filter") if option in offered][:1]
    only_ours = [chosen[0], "kns=rcnn"] if chosen else []
    refused = []

    def judge(text):
        if said := refusal(text):
            refused.append(said)
        said = re.findall(r"=+ ((?:ERROR|RACECHECK) SUMMARY: .*)", text)
        if said and re.search(clean, said[-1]):
            return None
        found = where(text)
        return f"{tool} says `{said[-1] if said else 'nothing'}`{': ' + found if found else ''}"

    form = run.setup.form
    run_tests(run, "*tests/kernels/*", VARIANTS, only=only, judge=judge,
              wrapper=[program, "--tool", tool, "--error-exitcode", "9", *only_ours, *options],
              judge_stopped=lambda text: where(text) or errors_in(text),
              environment={"RCNN_TEST_FILLS": "1"} if form == "first" else None)
    if refused and len(refused) == len(run.faults):
        run.faults.clear()
        raise Skipped(f"compute-sanitizer cannot work on this machine: {refused[0]}")


def memcheck(run):
    # Libraries make calls that are allowed to fail; the project checks its own calls.
    sanitizer(run, "memcheck", r"SUMMARY: 0 errors", ["--report-api-errors", "no"])


def racecheck(run):
    sanitizer(run, "racecheck", r"SUMMARY: 0 hazards", [], SHARED_MEMORY)


# ---- losses against those of the CPU -----------------------------------------------------------------------

# {form: the arguments of `rcnn synth` and `rcnn train`, and the number of steps}
TRAININGS = {
    "first": {"synth": ["--count=80", "--seed=1"], "steps": 20,
              "train": ["--model=nano-fpn", "--batch=4", "--lr=0.04", "--clip-norm=5", "--crop=0", "--colour-jitter=0",
                        "--scale-jitter=0"]},
    "rehearsal": {"synth": ["--count=8", "--seed=1"], "steps": 2,
                  "train": ["--model=nano-fpn", "--batch=1", "--lr=0.01", "--short-side=48", "--long-side=64"]},
}
RECORDED = ROOT / "recorded" / "losses.json"


def losses_of(folder):
    """[total loss of step 1, of step 2, ...] of a training run."""
    rows = json_lines((folder / "metrics.jsonl").read_text())
    losses = {row["step"]: row["loss"] for row in rows if "loss" in row}
    return [losses[step] for step in sorted(losses)]


def train(run, form, device, work):
    """The first losses of a short training on `device`, which is the same in every run."""
    spec, setup = TRAININGS[form], run.setup
    scenes, out = work / "scenes", work / device.replace(":", "-")
    shutil.rmtree(out, ignore_errors=True)
    if not scenes.exists():
        run.run([setup.program, "synth", f"--out={scenes}", "--split=train", *spec["synth"]])
    run.run([setup.program, "train", f"--data={scenes}", f"--out={out}", f"--device={device}", "--precision=f32",
             f"--steps={spec['steps']}", "--log-every=1", "--val=none", "--test=none", *spec["train"]])
    return losses_of(out)


def relative(value, expected):
    """The difference relative to `expected`; infinite if either is not a number, which JSON stores as null."""
    return abs(value - expected) / abs(expected) if value is not None and expected else math.inf


def compare_losses(ours, theirs, count):
    """({"steps", "loss_difference"}, one sentence for each fault) of two lists of losses."""
    steps = min(len(ours), len(theirs), count)
    faults = [] if steps == count else [f"there are {steps} losses of both, expected {count}"]
    differences = [relative(a, b) for a, b in zip(ours[:steps], theirs)]
    worst = max(range(steps), key=differences.__getitem__, default=None)
    if worst is not None and not differences[worst] <= LOSS_TOLERANCE:
        faults.append(f"the loss of step {worst + 1} is {ours[worst]} on the GPU and {theirs[worst]} on the CPU: "
                      f"{differences[worst]:.1e} apart, expected at most {LOSS_TOLERANCE:g}")
    return {"steps": steps, "loss_difference": differences[worst] if worst is not None else None}, faults


def losses(run):
    setup = run.setup
    form = "rehearsal" if setup.simulated else "first"
    with tempfile.TemporaryDirectory() as folder:
        compare_with_recorded(run, form, Path(folder))


def compare_with_recorded(run, form, work):
    recorded = json.loads(RECORDED.read_text()).get(form) if RECORDED.exists() else None
    if not recorded:
        run.notes.append("no losses of the CPU are recorded, so they were computed here")
        recorded = {"losses": train(run, form, "cpu", work)}
    ours = train(run, form, "cuda:0", work)
    run.found, faults = compare_losses(ours, recorded["losses"], TRAININGS[form]["steps"])
    run.found.update(gpu=ours, cpu=recorded["losses"])
    run.found["summary"] = (f"the first {run.found['steps']} losses differ from the CPU's by at most "
                            f"{run.found['loss_difference']:.1e}") if run.found["steps"] else "no losses"
    run.faults += faults


def demo(run):
    """Trains the demonstration on the GPU and on the CPU, and compares them."""
    setup = run.setup
    work = setup.folder / "demo"
    shutil.rmtree(work, ignore_errors=True)
    for split, count, seed in (("train", 900, 1), ("val", 50, 1), ("test", 100, 2)):  # as in `make demo`
        run.run([setup.program, "synth", f"--out={work / 'scenes'}", f"--count={count}", f"--seed={seed}",
                 f"--split={split}"])
    summaries = []
    for device in ("cuda", "cpu"):
        out = work / device
        run.run([setup.program, "train", f"--config={ROOT / 'examples/demo.toml'}", f"--data={work / 'scenes'}",
                 "--val=val", "--test=test", f"--out={out}", f"--device={device}", "--precision=f32"])
        summaries.append(json.loads((out / "summary.json").read_text()))
    run.found, run.faults = compare_runs([losses_of(work / device) for device in ("cuda", "cpu")], summaries)


def compare_runs(losses_of_both, summaries):
    """Compares trainings of the demonstration on the GPU and the CPU: (what was found, one sentence for each fault)."""
    found, faults = compare_losses(*losses_of_both, 20)
    maps = [summary["map50"] for summary in summaries]
    if not abs(maps[0] - maps[1]) <= MAP_TOLERANCE:
        faults.append(f"mAP@.5 is {maps[0]:.4f} on the GPU and {maps[1]:.4f} on the CPU; expected at most "
                      f"{MAP_TOLERANCE:g} apart")
    seconds = [summary["train_seconds"] for summary in summaries]
    found.update(map50_gpu=maps[0], map50_cpu=maps[1], seconds_gpu=seconds[0], seconds_cpu=seconds[1])
    found["summary"] = (f"mAP@.5 {maps[0]:.4f} on the GPU in {seconds[0]:.0f} s, {maps[1]:.4f} on the CPU in "
                        f"{seconds[1]:.0f} s")
    return found, faults
