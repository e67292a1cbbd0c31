"""Writes the results of gpu_check.py as JSON, and as Markdown tables made from that JSON.

    tools/gpu_report.py bench/results/GPU.json      rewrites bench/results/GPU.md
"""

import json
import math
import sys
from pathlib import Path

LIBRARIES = ("cudnn", "cublas")  # the prefixes of variants that call NVIDIA's libraries
PRODUCTS = ("conv2d", "conv2d_dx", "conv2d_dw", "matmul")
PROGRAMS = ("ours", "ours, graph", "torchvision", "torch.compile")


def to_json(value, indent=""):
    """JSON text in which a list or object without nested lists or objects is written on one line."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if not any(isinstance(child, (dict, list)) for child in children):
        return json.dumps(value) + ("" if indent else "\n")
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {to_json(child, inner)}" for key, child in value.items()]
    else:
        lines = [inner + to_json(child, inner) for child in value]
    text = ",\n".join(lines)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{text}\n{indent}{closing}" + ("" if indent else "\n")


def table(head, rows):
    """The lines of a Markdown table; cells are strings."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows] + [""]


def number(value, digits=4):
    """The value with `digits` significant digits, or "-" for None."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if abs(value) < 10 ** digits else f"{value:.0f}"


def ratio(theirs, ours):
    return None if theirs is None or not ours else theirs / ours


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


# ---- sections: each is a list of lines ---------------------------------------------------------------------


def describe(name, found):
    """What a stage found, in a few words."""
    if name == "demo" and found.get("map50_gpu") is not None:
        return (f"{found['steps']} steps; the losses of the first 20 differ by at most "
                f"{number(found['loss_difference'], 2)}; mAP@.5 {found['map50_gpu']:.4f} on the GPU in "
                f"{found['seconds_gpu']:.0f} s, {found['map50_cpu']:.4f} on the CPU in "
                f"{found['seconds_cpu']:.0f} s")
    if name == "ops" and found.get("ours"):
        return f"{len(found['ours'])} measurements"
    return found.get("version") or found.get("summary") or ""


def stages_section(stages):
    rows = [[name, "passed" if entry["passed"] else "FAILED", f"{entry['seconds']:.0f}", entry["date"],
             entry["commit"], describe(name, entry["found"])] for name, entry in stages.items()]
    lines = table(["stage", "result", "seconds", "when", "commit", "found"], rows)
    for name, entry in stages.items():
        lines += [f"- {name} failed: {fault}" for fault in entry["faults"]]
        lines += [f"- {name}: {note}" for note in entry["notes"]]
    return lines + [""]


def fastest(rows):
    return min(rows, key=lambda row: row["ms"], default=None)


def compare_cases(found):
    """A list of {"op", "case", "precision", "shapes", "ours" (a row), "library" (ms), "torch" (ms)}."""
    theirs = {(row["op"], row["case"], row["precision"]): row["ms"] for row in found.get("theirs", [])
              if "ms" in row}
    groups = {}
    for row in found.get("ours", []):
        if "ms" in row:
            groups.setdefault((row["op"], row["case"], row["precision"]), []).append(row)
    compared = []
    for (op, case, precision), rows in groups.items():
        ours = fastest([row for row in rows if not row["variant"].startswith(LIBRARIES)])
        library = fastest([row for row in rows if row["variant"].startswith(LIBRARIES)])
        if ours:
            compared.append({"op": op, "case": case, "precision": precision,
                             "shapes": f"{ours['inputs']} -> {ours['outputs']}", "ours": ours,
                             "library": library["ms"] if library else None,
                             "torch": theirs.get((op, case, precision))})
    return compared


def best_peer(row):
    return min((ms for ms in (row["library"], row["torch"]) if ms is not None), default=None)


def products_section(compared):
    rows, means = [], []
    for row in compared:
        ours = row["ours"]
        rows.append([row["op"], row["shapes"], row["precision"], ours["variant"], number(ours["ms"]),
                     number(ours["gflops"] / 1e3 if ours["gflops"] else None), number(row["library"]),
                     number(row["torch"]), number(ratio(best_peer(row), ours["ms"]), 3)])
    for op, precision in dict.fromkeys((row["op"], row["precision"]) for row in compared):
        for peer in ("library", "torch"):
            ratios = [ratio(row[peer], row["ours"]["ms"]) for row in compared
                      if (row["op"], row["precision"]) == (op, precision) and row[peer] is not None]
            if ratios:
                name = "PyTorch" if peer == "torch" else "cuBLAS" if op == "matmul" else "cuDNN"
                means.append([op, precision, name, number(geometric_mean(ratios), 3), number(min(ratios), 3),
                              str(len(ratios))])
    return ["## Convolutions and matrix products", "",
            "Times are in milliseconds, of this project's fastest variant of each precision. A ratio is the peer's "
            "time divided by ours: above 1, ours is faster. Inputs after x and w belong to the epilogue.", "",
            *table(["op", "precision", "peer", "geometric mean of the ratios", "lowest", "cases"], means),
            *table(["op", "inputs -> outputs", "precision", "variant", "ms", "TFLOP/s", "cuDNN, cuBLAS",
                    "PyTorch", "ratio to the faster"], rows)]


def others_section(compared):
    rows = [[row["op"], row["shapes"], row["ours"]["variant"], number(row["ours"]["ms"]),
             number(row["ours"]["gbs"]), number(row["torch"]), number(ratio(row["torch"], row["ours"]["ms"]), 3)]
            for row in compared]
    return ["## Other ops", "",
            "Times are of the fastest variant. The peer of NMS and RoIAlign is torchvision, that of SGD is PyTorch.",
            "",
            *table(["op", "inputs -> outputs", "variant", "ms", "GB/s", "peer", "ratio"], rows)]


def models_section(times):
    cells = {(row["what"], row["precision"], row["program"]): row["ms"] for row in times}
    rows = []
    for what, precision in dict.fromkeys((row["what"], row["precision"]) for row in times):
        ms = [cells.get((what, precision, program)) for program in PROGRAMS]
        ours = min((value for value in ms[:2] if value is not None), default=None)
        rows.append([what, precision, *map(number, ms), *(number(ratio(value, ours), 3) for value in ms[2:])])
    return ["## nano-fpn", "",
            "Times are in milliseconds, of a training step on 4 images and of a detection, at 240x320. Ratios are the "
            "peer's time divided by the faster of our two.", "",
            *table(["what", "precision", *PROGRAMS, "torchvision / ours", "torch.compile / ours"], rows)]


def to_markdown(results):
    gpu, stages = results["gpu"], results["stages"]
    operations = stages.get("ops", {}).get("found", {})
    peers = operations.get("peers", {})
    versions = [f"driver {gpu['driver']}", f"CUDA {results['cuda']}", gpu["memory"], f"sm_{gpu['arch']}"]
    versions += [f"{key} {value}" for key, value in (("PyTorch", peers.get("torch")),
                                                     ("torchvision", peers.get("torchvision")),
                                                     ("its cuDNN", peers.get("cudnn"))) if value]
    lines = [f"# {gpu['name']}", "", ", ".join(versions) + ".", "",
             "Written by tools/gpu_check.py. The times of every variant are in the JSON file beside this one.", "",
             *stages_section(stages)]
    compared = compare_cases(operations)
    if compared:
        lines += products_section([row for row in compared if row["op"] in PRODUCTS])
        lines += others_section([row for row in compared if row["op"] not in PRODUCTS])
    if times := stages.get("models", {}).get("found", {}).get("times"):
        lines += models_section(times)
    return "\n".join(lines).rstrip() + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    file = Path(sys.argv[1])
    file.with_suffix(".md").write_text(to_markdown(json.loads(file.read_text())))


if __name__ == "__main__":
    main()
