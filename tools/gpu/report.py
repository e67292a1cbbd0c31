"""Tables of the results: for a terminal of 100 columns, and as Markdown with every case. Results are kept as JSON.

    tools/gpu/report.py bench/results/GPU.json      rewrites bench/results/GPU.md
"""

import json
import math
import statistics
import sys
import textwrap
from pathlib import Path

WIDTH = 100
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


def number(value, digits=4):
    """The value with `digits` significant digits, or "-" for None."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if abs(value) < 10 ** digits else f"{value:.0f}"


def ratio(theirs, ours):
    return None if theirs is None or not ours else theirs / ours


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


# ---- what the results say: lists of rows, each a list of texts ----------------------------------------------


def describe(entry):
    """What a stage found and what was wrong with it, in a few sentences."""
    parts = [entry["found"].get("summary", "")] if entry["found"] else []
    if entry["unfinished"]:
        parts.append(f"not finished: {', '.join(entry['unfinished'])}")
    parts += [f"FAILED: {fault}" for fault in entry["faults"]] + entry["notes"]
    if clocks := entry.get("clocks"):
        parts.append(f"SM clock {min(clocks)} to {max(clocks)} MHz, median {statistics.median(clocks):.0f}")
    return [part for part in parts if part]


def fastest(rows):
    return min(rows, key=lambda row: row["ms"], default=None)


def compare_cases(found):
    """A list of {"op", "case", "precision", "shapes", "ours" (a row), "library" (ms), "torch" (ms), "torch_cold"}."""
    theirs = {(row["op"], row["case"], row["precision"]): row for row in found.get("theirs", []) if "ms" in row}
    groups = {}
    for row in found.get("ours", []):
        if "ms" in row:
            groups.setdefault((row["op"], row["case"], row["precision"]), []).append(row)
    compared = []
    for (op, case, precision), rows in groups.items():
        ours = fastest([row for row in rows if not row["variant"].startswith(LIBRARIES)])
        library = fastest([row for row in rows if row["variant"].startswith(LIBRARIES)])
        peer = theirs.get((op, case, precision), {})
        if ours:
            compared.append({"op": op, "case": case, "precision": precision,
                             "shapes": f"{ours['inputs']} -> {ours['outputs']}", "ours": ours,
                             "library": library["ms"] if library else None, "torch": peer.get("ms"),
                             "torch_cold": peer.get("cold_ms")})
    return compared


def best_peer(row):
    return min((ms for ms in (row["library"], row["torch"]) if ms is not None), default=None)


def sizes(text):
    """"1x2 3 ..." -> [[1, 2], [3]]"""
    return [[int(size) for size in word.split("x")] for word in text.split() if word != "..."]


def product_label(row):
    """(a short name of the case's shape, the column that it belongs to).

    "200x336 256>512 3/2" is a convolution of an image of 200 x 336 from 256 to 512 channels, 3 x 3, with stride 2;
    "1000x1024 of 12544" a product of that shape, of sums of 12,544 terms.
    """
    inputs, outputs = sizes(row["ours"]["inputs"]), sizes(row["ours"]["outputs"])
    if row["op"] == "matmul":
        (m, n), a = outputs[0], inputs[0]
        return f"{m}x{n} of {a[0] * a[1] // m}", "fwd" if len(inputs) == 2 else "+epi"
    x, w, y = {"conv2d": (inputs[0], inputs[1], outputs[0]), "conv2d_dx": (outputs[0], inputs[1], inputs[0]),
               "conv2d_dw": (inputs[0], outputs[0], inputs[1])}[row["op"]]
    images = f"{x[0]}x" if x[0] != 1 else ""
    column = {"conv2d": "fwd" if len(inputs) == 2 else "+epi", "conv2d_dx": "dx", "conv2d_dw": "dw"}[row["op"]]
    window = w[1] if w[1] == w[2] else f"{w[1]}x{w[2]}"
    return f"{images}{x[1]}x{x[2]} {w[3]}>{w[0]} {window}/{round(x[1] / y[1])}", column


def product_rows(compared, cold):
    """Rows of [shape, then for bf16 and tf32 each of forward, with epilogue, dx, dw: "TFLOP/s ratio"]."""
    cells = {}
    for row in compared:
        label, column = product_label(row)
        ours = row["ours"]
        ms, peer = ((ours.get("cold_ms"), row["torch_cold"]) if cold else (ours["ms"], best_peer(row)))
        if not ms or not ours.get("gflops"):
            continue
        rate = ours["gflops"] * ours["ms"] / ms * 1e-3
        versus = ratio(peer, ms)
        cells.setdefault(label, {})[row["precision"], column] = (
            f"{number(rate, 3)} {versus:4.2f}" if versus is not None else f"{number(rate, 3)}    -")
    columns = [(precision, column) for precision in ("bf16", "tf32") for column in ("fwd", "+epi", "dx", "dw")]
    return [[label, *(found.get(key, "") for key in columns)] for label, found in cells.items()
            if any(key in found for key in columns)]


def other_rows(compared):
    return [[row["op"], row["shapes"], row["ours"]["variant"], number(row["ours"]["ms"]),
             number(row["ours"].get("cold_ms")), number(row["torch"]),
             number(ratio(row["torch"], row["ours"]["ms"]), 3)] for row in compared]


def model_times(stages):
    return [row for name in ("models", "torchvision") for row in stages.get(name, {}).get("found", {}).get("times", [])]


def model_rows(times):
    cells = {(row["model"], row["what"], row["precision"], row["program"]): row["ms"] for row in times}
    rows = []
    for key in dict.fromkeys((row["model"], row["what"], row["precision"]) for row in times):
        ms = [cells.get((*key, program)) for program in PROGRAMS]
        ours = min((value for value in ms[:2] if value is not None), default=None)
        rows.append([*key, *map(number, ms), *(number(ratio(value, ours), 3) for value in ms[2:])])
    return rows


def mean_rows(compared):
    """For each op, precision and peer the geometric mean of the ratios, the lowest, and the number of cases."""
    rows = []
    for op, precision in dict.fromkeys((row["op"], row["precision"]) for row in compared):
        for peer in ("library", "torch"):
            ratios = [ratio(row[peer], row["ours"]["ms"]) for row in compared
                      if (row["op"], row["precision"]) == (op, precision) and row[peer] is not None]
            if ratios:
                name = "PyTorch" if peer == "torch" else "cuBLAS" if op == "matmul" else "cuDNN"
                rows.append([op, precision, name, number(geometric_mean(ratios), 3), number(min(ratios), 3),
                             str(len(ratios))])
    return rows


MEANS = ["op", "precision", "peer", "geometric mean of the ratios", "lowest", "cases"]
OTHERS = ["op", "inputs -> outputs", "variant", "ms", "cold ms", "PyTorch", "ratio"]
MODELS = ["model", "what", "precision", *PROGRAMS, "torchvision / ours", "torch.compile / ours"]

# ---- for a terminal ------------------------------------------------------------------------------------------


def columns_of(rows, right_from, widths=None):
    """The rows as lines: columns of equal width, those from `right_from` on aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if widths is None else widths
    return [" ".join(cell[:width].ljust(width) if i < right_from else cell.rjust(width)
                     for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


INDENT = " " * 12


def stages_text(stages):
    lines = []
    for name, entry in stages.items():
        head = f"{name:<12}{entry['result']:<8}{entry['seconds']:>6.1f} s  "
        found = describe(entry) or [""]
        for i, part in enumerate(found):
            # A stage with many faults must not push the tables out of sight; all of them are in the JSON file.
            if i == 8:
                lines.append(f"{INDENT}... and {len(found) - i} more")
                break
            lines += textwrap.wrap(part[:400], WIDTH, initial_indent=head if i == 0 else INDENT + "- ",
                                   subsequent_indent=INDENT + "  ") or [head.rstrip()]
    return lines


def to_text(results):
    gpu, stages = results["gpu"], results["stages"]
    lines = [f"{gpu['name']}, sm_{gpu['arch']}, driver {gpu['driver']}, {results['commit']}", ""]
    compared = compare_cases(stages.get("ops", {}).get("found", {}))
    products = [row for row in compared if row["op"] in PRODUCTS]
    head = ["shape", *(f"{p} {c}" for p in ("bf16", "tf32") for c in ("fwd", "+epi", "dx", "dw"))]
    for cold in (False, True):
        if rows := product_rows(products, cold):
            lines += [f"Products, {'cold' if cold else 'warm'} L2 cache: TFLOP/s, and PyTorch's or a library's time "
                      "divided by ours", *columns_of([head, *rows], 1, [20] + [9] * 8), ""]
    if others := other_rows([row for row in compared if row["op"] not in PRODUCTS]):
        lines += ["Other ops, in milliseconds", *columns_of([OTHERS, *others], 3, [18, 26, 20, 8, 8, 8, 6]), ""]
    if rows := model_rows(model_times(stages)):
        short = [*MODELS[:3], "ours", "graph", "torchv.", "compile", "t/ours", "c/ours"]
        lines += ["Models, in milliseconds", *columns_of([short, *rows], 3, [13, 12, 10, 9, 9, 9, 9, 8, 8]), ""]
    return "\n".join(lines + stages_text(stages)) + "\n"


# ---- Markdown ------------------------------------------------------------------------------------------------


def table(head, rows):
    """The lines of a Markdown table; cells are strings."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows] + [""]


def to_markdown(results):
    gpu, stages = results["gpu"], results["stages"]
    operations = stages.get("ops", {}).get("found", {})
    peers = operations.get("peers", {})
    versions = [f"driver {gpu['driver']}", f"CUDA {results['cuda']}", gpu["memory"], f"sm_{gpu['arch']}"]
    versions += [f"{key} {value}" for key, value in (("PyTorch", peers.get("torch")),
                                                     ("torchvision", peers.get("torchvision")),
                                                     ("its cuDNN", peers.get("cudnn"))) if value]
    lines = [f"# {gpu['name']}", "", ", ".join(versions) + ".", "",
             f"Written by tools/gpu_{'check' if results['form'] == 'check' else 'first'}.py. All figures are in the JSON file beside this one.", "",
             *table(["stage", "result", "seconds", "when", "commit", "found"],
                    [[name, entry["result"], f"{entry['seconds']:.0f}", entry["date"], entry["commit"],
                      "; ".join(describe(entry))] for name, entry in stages.items()])]
    compared = compare_cases(operations)
    products = [row for row in compared if row["op"] in PRODUCTS]
    if products:
        rows = [[row["op"], row["shapes"], row["precision"], row["ours"]["variant"], number(row["ours"]["ms"]),
                 number(row["ours"].get("cold_ms")),
                 number(row["ours"]["gflops"] / 1e3 if row["ours"]["gflops"] else None), number(row["library"]),
                 number(row["torch"]), number(ratio(best_peer(row), row["ours"]["ms"]), 3)] for row in products]
        lines += ["## Convolutions and matrix products", "",
                  "Times are in milliseconds, of this project's fastest variant of each precision. A ratio is the peer's "
                  "time divided by ours: above 1, ours is faster. Inputs after x and w belong to the epilogue.", "",
                  *table(MEANS, mean_rows(products)),
                  *table(["op", "inputs -> outputs", "precision", "variant", "ms", "cold ms", "TFLOP/s", "cuDNN, cuBLAS",
                          "PyTorch", "ratio to the faster"], rows)]
    if others := other_rows([row for row in compared if row["op"] not in PRODUCTS]):
        lines += ["## Other ops", "", "The peer of NMS and RoIAlign is torchvision, that of the others PyTorch.", "",
                  *table(OTHERS, others)]
    if rows := model_rows(model_times(stages)):
        lines += ["## Models", "",
                  "Times are in milliseconds. Ratios are the peer's time divided by the faster of our two.", "",
                  *table(MODELS, rows)]
    return "\n".join(lines).rstrip() + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    file = Path(sys.argv[1])
    file.with_suffix(".md").write_text(to_markdown(json.loads(file.read_text())))


if __name__ == "__main__":
    main()
