"""The stages that measure: what the machine can do, every op, whole models, and where the hottest kernels wait."""

import csv
import json
import statistics

from gpu import checks
from gpu.machine import CLOCKS, ROOT
from gpu.runner import Failure, Skipped, json_lines

# ---- what the machine can do -------------------------------------------------------------------------------


def probe(run):
    """Clocks and limits as nvidia-smi says; the copy bandwidth and the rate of matrix products as PyTorch reaches."""
    run.setup.require_gpu("nvidia-smi")
    fields = f"{CLOCKS},clocks.max.sm,clocks.max.mem,power.limit,ecc.mode.current,persistence_mode"
    text = run.run([run.setup.tool("nvidia-smi"), f"--query-gpu={fields}", "--format=csv,noheader"])
    run.found["card"] = dict(zip(fields.split(","), (part.strip() for part in text.strip().split(","))))
    try:
        run.setup.require_torch(run, "torch")
        rows = json_lines(run.run([run.setup.python, ROOT / "bench/torch_probe.py"]))
    except Skipped as reason:
        run.notes.append(str(reason))
        return
    run.found["rates"] = rows
    run.found["summary"] = ", ".join(f"{row['what']} {row['rate']:.0f} {row['unit']}" for row in rows)


# ---- ops ---------------------------------------------------------------------------------------------------

# {form: options of `rcnn bench ops`}. A rehearsal times what a simulated GPU can run.
OPS = {
    "first": ["--op=conv2d,matmul,nms,roi_align,top_k,sgd", "--chosen=bf16,tf32", "--cold", "--seconds=0.02"],
    "check": ["--cold", "--seconds=0.05"],
    "rehearsal": ["--op=matmul,softmax,sgd", "--chosen=bf16,tf32", "--cold", "--seconds=0"],
}
TORCH_OPS = {"first": ["--precisions=bf16,tf32", "--cold"], "check": ["--cold"]}


def shape_text(shapes):
    """[[1, 2], [3]] -> "1x2 3". The first three shapes are enough to identify a case."""
    text = " ".join("x".join(map(str, shape)) or "1" for shape in shapes[:3])
    return text + (" ..." if len(shapes) > 3 else "")


def ops(run):
    # They grow in the folder of the results, where they remain if this process is killed. What they hold is then in
    # the results, and a lender of machines may return few files.
    ours, theirs = run.setup.folder / "ops.json", run.setup.folder / "torch_ops.json"
    for file in (ours, theirs):
        file.unlink(missing_ok=True)
    time_ops(run, ours, theirs)
    for file in (ours, theirs):
        file.unlink(missing_ok=True)


def time_ops(run, ours, theirs):
    setup = run.setup
    run.attempt(run.run, [setup.program, "bench", "ops", "--device=cuda", f"--json={ours}", *OPS[setup.form]],
                setup.with_libraries(), limit=run.left() * 0.6)
    if not ours.exists():
        return
    rows = json.loads(ours.read_text())["ops"]
    run.found = {"ours": [{**row, "inputs": shape_text(row["inputs"]), "outputs": shape_text(row["outputs"])}
                          for row in rows],
                 "summary": f"{len(rows)} measurements"}
    try:
        setup.require_gpu("PyTorch")
        setup.require_torch(run, "torch")
    except Skipped as reason:
        run.notes.append(f"nothing is compared with PyTorch: {reason}")
        return
    run.peer([setup.python, ROOT / "bench/torch_ops.py", ours, theirs, *TORCH_OPS[setup.form],
              f"--limit={max(5, run.left() - 5):.0f}"])
    if theirs.exists():
        peers = json.loads(theirs.read_text())
        run.found["theirs"] = peers.pop("ops")
        if stopped := peers.pop("stopped"):
            run.unfinished.append(f"PyTorch from {stopped} on")
        run.found["peers"] = peers
        run.notes += [f"PyTorch failed on {row['op']} case {row['case']} {row['precision']}: {row['error']}"
                      for row in run.found["theirs"] if "error" in row]


# ---- models ------------------------------------------------------------------------------------------------

R50 = ["--model=resnet50-fpn", "--height=800", "--width=1344", "--classes=90"]
NANO = ["--model=nano-fpn"]
FEW = ["--model=nano-fpn", "--height=48", "--width=64", "--batch=1", "--steps=1", "--warm-up=0"]
# {form: [(name, options, precisions)]}
MODELS = {
    "first": [("resnet50-fpn", [*R50, "--steps=12", "--warm-up=4"], ["bf16", "tf32"])],
    "check": [("resnet50-fpn", [*R50, "--steps=20"], ["bf16", "tf32", "f32"]), ("nano-fpn", NANO, ["bf16", "tf32", "f32"])],
    "rehearsal": [("nano-fpn", FEW, ["tf32"])],
}


def batch_for(gibibytes):
    """Images of a training step of resnet50-fpn at 800 x 1344 that fit into the memory of the GPU."""
    return 8 if gibibytes >= 60 else 2 if gibibytes >= 20 else 1


def chosen_models(run):
    """[(name, options, precision)] of this form, which the GPU can run."""
    can = run.setup.precisions()
    rows = []
    for name, options, precisions in MODELS[run.setup.form]:
        if name == "resnet50-fpn":
            options = [*options, f"--batch={batch_for(run.setup.gibibytes())}"]
        rows += [(name, options, precision) for precision in precisions if precision in can]
    return rows


class Times:
    """Times of several programs. A figure is the median of the rounds' medians."""

    def __init__(self):
        self.rounds = {}

    def add(self, model, precision, program, text):
        # A program that was stopped may have printed half a line.
        for row in json_lines(text[:text.rfind("\n") + 1]):
            if "seconds" in row:
                key = (model, row["what"], precision, program)
                self.rounds.setdefault(key, []).append(statistics.median(row["seconds"]))

    def rows(self):
        return [{"model": model, "what": what, "precision": precision, "program": program,
                 "ms": statistics.median(seconds) * 1e3, "rounds": len(seconds)}
                for (model, what, precision, program), seconds in self.rounds.items()]


def time_models(run, programs, rounds=1):
    """Times the models of this form with each of `programs`, [(name, function of (options, precision, limit))], in
    turn. A function returns the program's output. Each run gets an equal share of the time that is left."""
    times = Times()
    runs = [(model, options, precision, program) for _ in range(rounds)
            for model, options, precision in chosen_models(run) for program in programs]
    for i, (model, options, precision, (name, measure)) in enumerate(runs):
        times.add(model, precision, name, measure(options, precision, run.left() / (len(runs) - i)))
        run.found["times"] = times.rows()
    run.found["summary"] = f"{len(run.found.get('times', []))} figures"


def ours(run, graph):
    setup = run.setup
    return lambda options, precision, limit: run.attempt(
        run.run, [setup.program, "bench", "model", "--device=cuda", "--json", f"--precision={precision}", *options,
                  *(["--cuda-graph"] if graph else [])], setup.with_libraries(), limit=limit)


def twin(run, *more):
    """The same model made of torchvision's parts."""
    def measure(options, precision, limit):
        return run.peer([run.setup.python, ROOT / "bench/torchvision_models.py", "--device=cuda",
                         f"--precision={precision}", *options, *more], limit=limit)
    return measure


def models(run):
    time_models(run, [("ours", ours(run, False)), ("ours, graph", ours(run, True))],
                3 if run.setup.form == "check" else 1)


def torchvision(run):
    run.setup.require_gpu("PyTorch")
    run.setup.require_torch(run, "torchvision")
    programs = [("torchvision", twin(run))]
    if run.setup.form == "check":  # compiling takes minutes
        programs.append(("torch.compile", twin(run, "--compile=parts")))
    time_models(run, programs)


# ---- where the hottest kernels wait ------------------------------------------------------------------------

# (what, options of `rcnn bench ops`, a part of the kernel's name)
PROFILED = [
    ("conv2d 200x336x256 bf16", ["--op=conv2d", "--case=12", "--chosen=bf16"], "conv2d_mma_kernel"),
    ("conv2d_dw 200x336x256 bf16", ["--op=conv2d_dw", "--case=6", "--chosen=bf16"], "conv2d_dw_mma_kernel"),
    ("roi_align 1000 RoIs", ["--op=roi_align", "--case=2", "--chosen=bf16"], "warp_per_bin_kernel"),
]
SECTIONS = ["SpeedOfLight", "Occupancy", "LaunchStats", "WarpStateStats", "MemoryWorkloadAnalysis", "SchedulerStats"]
SHOWN = {"Duration": "duration", "Compute (SM) Throughput": "SM", "Memory Throughput": "memory",
         "DRAM Throughput": "DRAM", "Achieved Occupancy": "occupancy", "Registers Per Thread": "registers"}


def ncu_metrics(text):
    """{metric: "value unit"} of the first kernel in ncu's CSV, which other output may surround; {"kernel": name}."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        raise Failure(f"ncu printed no table: {next((line for line in lines if '==ERROR==' in line), 'nothing')}", text)
    found = {}
    for row in csv.DictReader(line for line in lines[start:] if line.startswith('"')):
        if row.get("Metric Name"):
            found.setdefault("kernel", row["Kernel Name"])
            found.setdefault(row["Metric Name"], f"{row['Metric Value']} {row['Metric Unit']}".strip())
    if not found:
        raise Failure("ncu profiled no kernel", text)
    return found


def profile(run):
    setup = run.setup
    setup.require_gpu("ncu")
    program = setup.tool("ncu")
    run.found["kernels"] = {}
    for i, (what, options, kernel) in enumerate(PROFILED):
        command = [program, "--clock-control", "none", "--kernel-name", f"regex:{kernel}", "--launch-skip", "1",
                   "--launch-count", "1", "--csv", "--page", "details",
                   *(word for section in SECTIONS for word in ("--section", section)),
                   setup.program, "bench", "ops", "--device=cuda", "--seconds=0", *options]
        try:
            run.found["kernels"][what] = ncu_metrics(run.run(command, limit=run.left() / (len(PROFILED) - i)))
        except Failure as failure:
            if refused := checks.refusal(failure.printed):
                raise Skipped(f"ncu cannot work on this machine: {refused}") from None
            run.faults.append(str(failure))
    run.found["summary"] = "; ".join(
        f"{what}: " + ", ".join(f"{short} {metrics[name]}" for name, short in SHOWN.items() if name in metrics)
        for what, metrics in run.found["kernels"].items() if metrics)
