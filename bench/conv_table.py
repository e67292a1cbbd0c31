#!/usr/bin/env python3
"""Prints how fast the CPU's convolutions are, as Markdown: GFLOP/s of each variant on each shape.

    bench/conv_table.py                                 this program's variants, three rounds
    bench/conv_table.py --python venv/bin/python        and torch's conv2d, in turn
    bench/conv_table.py --filter "256 -> 256"           only shapes with this text

The shapes are those of `rcnn bench ops --op conv2d`: the layers of nano-fpn, those that make up most of R50-FPN at
800x1333, and VGG16's at 600x1000 (kernels/gemm/conv2d_cases.h). The arithmetic is counted as that of direct convolution,
whatever the variant, so Winograd's method can exceed what the processor could do directly. Filters are packed once and
kept, as in inference; in training they are packed again in each step. A figure is the median of the rounds.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import rounds

PASSES = {"conv2d": "Forward", "conv2d_dx": "Gradient of the input (dx)", "conv2d_dw": "Gradient of the filters (dw)"}
VARIANTS = ("onednn", "panels", "winograd_f2", "winograd_f4")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="interpreter that has torch; without it, torch is not timed")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each program [3]")
    parser.add_argument("--threads", type=int, default=2, help="threads of each program [2]")
    parser.add_argument("--seconds", type=float, default=0.2, help="seconds for each variant and shape [0.2]")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only shapes that contain this")
    parser.add_argument("--json", metavar="FILE", help="also write the figures of all rounds to this file")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables to this file, not to standard output")
    return rounds.checked(parser)


def shapes_of(row):
    """x, w and y of a convolution, from the inputs and outputs of one of its passes."""
    inputs, outputs = row["inputs"], row["outputs"]
    if row["op"] == "conv2d":
        return inputs[0], inputs[1], outputs[0]
    if row["op"] == "conv2d_dx":
        return outputs[0], inputs[1], inputs[0]
    return inputs[0], outputs[0], inputs[1]


def shape_text(row):
    """"4 x 120 x 160, 16 -> 32, 3 x 3 / 2": the input, the channels, the filter and the stride."""
    x, w, y = shapes_of(row)
    stride = round(x[1] / y[1])
    return f"{x[0]} x {x[1]} x {x[2]}, {x[3]} -> {w[0]}, {w[1]} x {w[2]}" + (f" / {stride}" if stride > 1 else "")


def gflop(row):
    _, (k, r, s, c), (n, oh, ow, _) = shapes_of(row)
    return 2e-9 * n * oh * ow * k * r * s * c


def without_epilogue(row):
    return row["op"] != "conv2d" or len(row["inputs"]) == 2


def run(command, options):
    """Runs a command, whose output is shown if it fails."""
    try:
        rounds.output_of(rounds.Program("", command, rounds.KEEP_MEMORY), options.threads)
    except rounds.Failure as failure:
        raise SystemExit(str(failure)) from None


def one_round(options, folder):
    """({(op, shape, variant): GFLOP/s}, torch's version) of one run of each program."""
    ours, theirs = Path(folder) / "ours.json", Path(folder) / "theirs.json"
    run([rounds.OUR_PROGRAM, "bench", "ops", "--device=cpu", "--op=conv2d", f"--variant={','.join(VARIANTS)}",
         f"--seconds={options.seconds}", f"--json={ours}"], options)
    document = json.loads(ours.read_text())
    document["ops"] = [row for row in document["ops"] if without_epilogue(row) and options.filter in shape_text(row)]
    found = {(row["op"], shape_text(row), row["variant"]): row["gflops"] for row in document["ops"]}
    versions = [f"ours: {document['version']}"]
    if options.python:
        ours.write_text(json.dumps(document))
        run([options.python, str(rounds.HERE / "torch_ops.py"), str(ours), str(theirs), "--device=cpu",
             f"--seconds={options.seconds}"], options)
        times = json.loads(theirs.read_text())
        versions.append(f"torch: {times['torch']}")
        cases = {(row["op"], row["case"]): row for row in document["ops"]}
        for row in times["ops"]:
            case = cases[row["op"], row["case"]]
            if "ms" in row:
                found[row["op"], shape_text(case), "torch"] = gflop(case) / row["ms"] * 1e3
    sizes = {shape_text(row): gflop(row) for row in document["ops"]}
    return found, sizes, versions


def table(op, figures, sizes, columns):
    """The Markdown table of one pass: a row for each shape."""
    lines = [f"{PASSES[op]}:", "", f"| input, channels, filter | GFLOP | {' | '.join(columns)} |",
             "|" + " --- |" * (len(columns) + 2)]
    for shape in dict.fromkeys(shape for found, shape, _ in figures if found == op):
        cells = [figures.get((op, shape, column)) for column in columns]
        lines.append(f"| {shape} | {sizes[shape]:.2f} | {' | '.join(rounds.number(cell, 0) for cell in cells)} |")
    return lines + [""]


def main():
    options = parse_options()
    if options.python:
        rounds.require_modules(options.python, ["torch"])
    machine = rounds.machine(options.threads)
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(options.rounds):
            print(f"round {index + 1} of {options.rounds}", file=sys.stderr, flush=True)
            found, sizes, versions = one_round(options, folder)
            measured.append(found)
    if not measured[0]:
        raise SystemExit(f"--filter {options.filter}: no shape contains this; expected a part of one as in "
                         "`1 x 200 x 336, 256 -> 256, 3 x 3`.")
    figures = {key: statistics.median(found[key] for found in measured) for key in measured[0]}
    columns = [*VARIANTS, *(["torch"] if options.python else [])]
    lines = rounds.heading(machine, options.rounds, versions)
    for op in PASSES:
        lines += table(op, figures, sizes, columns)
    text = "\n".join(lines)
    if options.markdown:
        Path(options.markdown).write_text(text)
    else:
        print(text, end="")
    if options.json:
        rows = [{"op": op, "shape": shape, "variant": variant, "gflops": [found[op, shape, variant] for found in measured]}
                for op, shape, variant in figures]
        document = {"machine": machine, "command": rounds.command_line(), "versions": versions, "rows": rows}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
