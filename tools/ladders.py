"""Writes the tables of docs/ladders: what was counted for each rung, and what was measured.

    tools/ladders.py             rewrites the tables between the markers
    tools/ladders.py --check     writes nothing; exits with 1 if a table is out of date

A table stands between the lines

    <!-- ladder OP CASE: VARIANT VARIANT ... -->
    <!-- end of the ladder -->

or, for times on CPUs, one table for each processor that has measured the case,

    <!-- times OP CASE: VARIANT VARIANT ... -->
    <!-- end of the times -->

or, for what nvcc makes of kernels, a line for each rung,

    <!-- machine code CARD:
    VARIANT FILE:KERNEL
    -->
    <!-- end of the machine code -->

The counts are those of bench/counts/*.json, which `rcnn lab explain --json` wrote. Times are read from the files of
bench/results: those of `rcnn lab time --json`, and for GPUs those of tools/gpu_check.py, if there are any. What nvcc made
is in bench/machine_code/*.json, written by `tools/sass_report.py --explain --json`.
"""

import argparse
import contextlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TIMES = re.compile(r"(<!-- times (\w+) (\d+): ([\w ]+) -->\n)(.*?)(<!-- end of the times -->\n)", re.DOTALL)
CODE = re.compile(r"(<!-- machine code (\w+):\n(.*?)-->\n)(.*?)(<!-- end of the machine code -->\n)", re.DOTALL)
MARKED = re.compile(r"(<!-- ladder (\w+) (\d+): ([\w ]+) -->\n)(.*?)(<!-- end of the ladder -->\n)", re.DOTALL)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")


@contextlib.contextmanager
def form_of(path):
    """Names the file if it has another form than the code inside expects."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        sys.exit(f"{path}: expected what `rcnn lab explain --json`, `rcnn lab time --json`, tools/gpu_check.py or "
                 f"tools/sass_report.py writes ({type(error).__name__}: {error})")


def read_counts(folder):
    """{(op, case, variant): a row of `lab explain --json`}, and the card of the bounds."""
    counts, card = {}, None
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        with form_of(path):
            if card not in (None, document["card"]):
                sys.exit(f"{path}: its bounds are those of {document['card']}, and those of other files of {card}")
            card = document["card"]
            for row in document["variants"]:
                counts[row["op"], row["case"], row["variant"]] = row
    return counts, card


def read_results(folder):
    """Times on GPUs, {(op, case, variant): [(GPU, ms)]}, and on CPUs, {(op, case): [(a sentence on the processor,
    {variant: a row of `lab time --json`})]}."""
    on_gpus, on_cpus = {}, {}
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        with form_of(path):
            if document.get("step"):  # the cases are entries of a captured step, not those of the ops' tables
                continue
            if document.get("device") == "cpu":
                add_cpu(document, on_cpus)
                continue
            rows = document.get("ops") or document.get("stages", {}).get("ops", {}).get("found", {}).get("ours", [])
            gpu = (document.get("gpu") or {}).get("name") or document.get("device") or path.stem
            for row in rows:
                if "ms" in row:
                    on_gpus.setdefault((row["op"], row["case"], row["variant"]), []).append((gpu, row["ms"]))
    return on_gpus, on_cpus


def add_cpu(document, on_cpus):
    instructions = re.search(r"([\w-]+) kernels", document["version"])
    where = (f"Measured on {document['machine']} ({instructions[1] if instructions else 'no vectors'}), "
             f"{document['threads']} threads, with {document['toolchain']}, commit {document['commit']}, "
             f"{document['date'][:10]}.")
    for row in document["ops"]:
        if "ms" not in row:  # it failed; a table that needs it says that there is no time
            continue
        tables = on_cpus.setdefault((row["op"], row["case"]), [])
        if not tables or tables[-1][0] != where:
            tables.append((where, {}))
        tables[-1][1][row["variant"]] = row


def read_machine_code(folder):
    """{(FILE:KERNEL, card): the cells of its row}"""
    rows = {}
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        with form_of(path):
            for kernel in document["kernels"]:
                for card, fit in kernel["blocks"].items():
                    if "loop" in kernel:
                        rows[kernel["kernel"], card] = cells_of(kernel, fit)
    return rows


def cells_of(kernel, fit):
    loop = kernel["loop"]
    multiply = f"{loop['tensor cores']} on tensor cores" if "tensor cores" in loop else loop["float arithmetic"]
    counts = [loop.get("shared memory", 0), loop.get("global memory", 0) + loop.get("asynchronous copies", 0),
              loop.get("integers and addresses", 0)]
    return (f"`{kernel['kernel'].split(':')[1]}` | {kernel['registers']} | {fit['count']}, {fit['limit']} "
            f"| {loop['instructions']} | {multiply} | {' | '.join(str(count or '-') for count in counts)}")


def variants_of(root):
    """The names of all rows in the tables of kernels/."""
    text = "".join(path.read_text() for path in sorted((root / "kernels").glob("*/*.h")))
    return set(re.findall(r'^    \{"(\w+)", on_\w+', text, re.M))


def ratio(row, part, whole):
    return f"{row[part] / row[whole]:.2f}" if row.get(whole) else "-"


def traffic(row):
    multiple = row["read_bytes"] / row["bytes"]
    return f"{multiple:,.0f}" if multiple >= 100 else f"{multiple:.3g}"


def rate(row):
    if row["flop"]:
        return f"{row['flop'] / row['bound_ms'] * 1e-6:,.0f} GFLOP/s, {row['limit']}"
    return f"not below {row['bound_ms']:.3g} ms, {row['limit']}"


def shapes(lists):
    return ", ".join("x".join(map(str, shape)) for shape in lists)


def table_of(op, case, variants, counts, card, results):
    lines = [f"| rung | requests | sectors | bank turns | lanes | traffic | at most on {card}, by | measured |",
             "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"]
    measured = False
    for variant in variants:
        row = counts[op, case, variant]
        times = results.get((op, case, variant), [])
        measured |= bool(times)
        lines.append(f"| `{variant}` | {row['requests']:,.0f} | {ratio(row, 'sectors', 'min_sectors')} "
                     f"| {ratio(row, 'turns', 'min_turns')} | {100 * row['lanes']:.0f} % "
                     f"| {traffic(row)} | {rate(row)} "
                     f"| {', '.join(f'{ms:.4g} ms ({gpu})' for gpu, ms in times) or '-'} |")
    first = counts[op, case, variants[0]]
    lines += ["", f"Case {case} of `{op}`: {shapes(first['inputs'])} to {shapes(first['outputs'])}."]
    if not measured:
        lines.append("No GPU has measured it yet: the columns are counts, and a bound from published figures.")
    return "\n".join(lines) + "\n"


def times_of(op, case, variants, tables):
    lines = []
    for where, rows in tables:
        counted = any(rows[variant]["flop"] for variant in variants)
        lines += ["| rung | ms | p10 to p90 |" + (" GFLOP/s | of the roof |" if counted else ""),
                  "| --- | ---: | ---: |" + (" ---: | ---: |" if counted else "")]
        for variant in variants:
            row = rows[variant]
            lines.append(f"| `{variant}` | {row['ms']:.4g} | {row['p10_ms']:.4g} to {row['p90_ms']:.4g} |"
                         + (f" {row['gflops']:.1f} | {100 * row['roof']:.0f} % |" if counted else ""))
        first = rows[variants[0]]
        lines += ["", f"Case {case} of `{op}`: {shapes(first['inputs'])} to {shapes(first['outputs'])}.", where, ""]
    return "\n".join(lines[:-1]) + "\n"


def machine_code_of(rungs, card, kernels):
    return "\n".join(["| rung | kernel | registers | blocks, limited by | loop | multiply | shared memory "
                      "| global memory and copies | integers |",
                      "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
                      *(f"| `{variant}` | {kernels[name, card]} |" for variant, name in rungs)]) + "\n"


def rewrite(text, where, counts, card, results, on_cpus, known, kernels):
    """The document with its tables made anew."""
    def replace_code(found):
        begin, on_card, rungs, _, end = found.groups()
        rungs = [line.split(maxsplit=1) for line in rungs.splitlines()]
        for rung in rungs:
            if len(rung) != 2 or rung[0] not in known or (rung[1], on_card) not in kernels:
                sys.exit(f"{where}: machine code: {' '.join(rung)}: expected a row of a table in kernels/ and a kernel that "
                         f"bench/machine_code has for {on_card}: `tools/sass_report.py build/release-cuda/kernels/gemm/*.cu.o "
                         "--explain 'FILE:*' --json bench/machine_code/NAME.json` makes it")
        return begin + machine_code_of(rungs, on_card, kernels) + end

    def replace_times(found):
        begin, op, case, variants, _, end = found.groups()
        tables = on_cpus.get((op, int(case)), [])
        for variant in variants.split():
            if variant not in known:
                sys.exit(f"{where}: {variant} is no row of a table in kernels/")
            if not tables or any(variant not in rows for _, rows in tables):
                sys.exit(f"{where}: bench/results has no time on a CPU of {op}={variant} in case {case}: "
                         f"`rcnn lab time {op} --case {case} --json bench/results/NAME.json` makes it")
        return begin + times_of(op, case, variants.split(), tables) + end

    def replace(found):
        begin, op, case, variants, _, end = found.groups()
        for variant in variants.split():
            if variant not in known:
                sys.exit(f"{where}: {variant} is no row of a table in kernels/")
            if "requests" not in counts.get((op, int(case), variant), {}):
                sys.exit(f"{where}: bench/counts has no counts of {op}={variant} in case {case}: in the build of "
                         f"CONFIG=races, `rcnn lab explain {op} --case {case} --json bench/counts/{op}.json` makes "
                         "them (give all cases that the documents show: the file is written anew)")
        return begin + table_of(op, int(case), variants.split(), counts, card, results) + end
    done, tables = MARKED.subn(replace, text)
    if not tables or tables != text.count("<!-- ladder "):
        sys.exit(f"{where}: expected `<!-- ladder OP CASE: VARIANT ... -->` and `<!-- end of the ladder -->` in pairs")
    done, tables = TIMES.subn(replace_times, done)
    if tables != text.count("<!-- times "):
        sys.exit(f"{where}: expected `<!-- times OP CASE: VARIANT ... -->` and `<!-- end of the times -->` in pairs")
    done, tables = CODE.subn(replace_code, done)
    if tables != text.count("<!-- machine code "):
        sys.exit(f"{where}: expected `<!-- machine code CARD:` with a line for each rung, and `<!-- end of the machine code "
                 "-->` in pairs")
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell whether the tables are up to date")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="of the checkout")
    options = parser.parse_args()
    counts, card = read_counts(options.root / "bench" / "counts")
    results, on_cpus = read_results(options.root / "bench" / "results")
    known, kernels = variants_of(options.root), read_machine_code(options.root / "bench" / "machine_code")
    old = {path: path.read_text() for path in sorted((options.root / "docs" / "ladders").glob("*.md"))}
    if not old:
        sys.exit(f"{options.root}: docs/ladders has no document")
    new = {path: rewrite(text, path, counts, card, results, on_cpus, known, kernels) for path, text in old.items()}
    changed = [path for path in old if old[path] != new[path]]
    for path in changed:
        print(f"{path}: {'out of date' if options.check else 'written'}")
        if not options.check:
            path.write_text(new[path])
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    main()
