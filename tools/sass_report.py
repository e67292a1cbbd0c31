"""Reports what CUDA kernels were compiled to: registers, shared memory, occupancy, and what their hot loops execute.

    tools/sass_report.py FILE...                        objects, cubins, programs, or text that cuobjdump printed
    tools/sass_report.py FILE... --before FILE...       the differences from another build as well
    tools/sass_report.py FILE... --check                exits with 1 if a hot kernel exceeds a limit of LIMITS below
    tools/sass_report.py FILE... --explain PATTERN...   what limits the kernels FILE:KERNEL that match, on some cards.
                                                        --threads N, or PATTERN@N: of a block, where a kernel declares
                                                        no maximum; PATTERN@N+BYTES: and its shared memory.
                                                        `rcnn lab explain` calls this for what it has run.
                                                        --json FILE writes their figures

The machine code is read with cuobjdump and nvdisasm of the CUDA toolkit, or of Python's packages nvidia-cuda-cuobjdump
and nvidia-cuda-nvdisasm, or triton. A GPU is not needed.

The hot loop of a kernel is the shortest loop that has the most matrix multiplications (HMMA), or in a kernel without
them the most multiplications of floats (FFMA). All instructions between its first and its last address are counted.
The columns, for each warp:

    local   instructions that load or store local memory: spilled registers, or arrays that did not fit in registers
    blocks  that fit on a multiprocessor of sm_90 at a time, by registers, shared memory and warps
    loop    instructions in the hot loop; HMMA: matrix multiplications among them; each: instructions for each HMMA
    moves   that copy a register
    estimate  clocks that a multiprocessor spends on one round of the loop for one block, if other blocks fill all gaps,
            and what limits it: the largest of five estimates (Kernel.estimates in tools/sass/kernels.py). Not a measurement.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import sys

from sass.explain import explain, figures, read_cards
from sass.kernels import MOVES, find_cuobjdump, matching, read_files

# The kernels in which a training step or a detection spends most of its time, as FILE:KERNEL with wildcards. They must
# not use local memory. Numbers limit the hot loop from sm_90 on: instructions for each HMMA, and moves.
LIMITS = [
    ("conv2d_implicit_gemm:*", None, None),
    ("matmul_register_tiles:*", None, None),
    ("*_mma:*_mma_kernel<Bf16,*Tile<128,*", 4.5, 10),
    ("*_mma:*_mma_kernel<Bf16,*Tile<64,*", 7.5, 10),  # one HMMA in four, for the same copies
    ("conv2d_implicit_gemm_mma:*<Tf32Filters,Tile<128,[12][25]*", 3.5, 10),
    ("matmul_mma:*<Tf32,0,[01],Tile<128,[12][25]*", 4.5, 10),
    ("matmul_mma:*<Tf32,1,0,Tile<128,[12][25]*", 4.5, 10),
    # ldmatrix cannot transpose floats, so operands that lie along their outer index are read one by one.
    ("matmul_mma:*<Tf32,1,1,Tile<128,[12][25]*", 5, 10),
    ("conv2d_dw_implicit_gemm_mma:*<Tf32,Tile<128,[12][25]*", 6, 10),
    ("*_mma:*_mma_kernel<Tf32*,*Tile<128,64,*", 9, 10),
    ("*_mma:*_mma_kernel<Tf32*,*Tile<64,*", 13, 10),
    ("roi_align_*:*", None, None),
    ("nms_*:compare_kernel*", None, None),
    ("nms_*:suppress_kernel*", None, None),
    ("sgd_*:sgd_kernel*", None, None),
    ("norm_rows_*:*", None, None),  # batch_norm and group_norm
]

WIDTH = 110
COLUMNS = "{:>5}{:>6}{:>8}{:>6}{:>8}{:>6}{:>6}{:>6}{:>7}{:>16}"
TITLES = ("arch", "regs", "shared", "local", "blocks", "loop", "HMMA", "each", "moves", "estimate")


def figures_of(kernel):
    """What the table shows, by its titles."""
    loop, estimates = kernel.loop, kernel.estimates()
    limit = max(estimates, key=estimates.get, default=None)
    return dict(zip(TITLES, (
        kernel.architecture, kernel.registers, kernel.shared + kernel.dynamic_shared(), kernel.local(),
        "-" if kernel.blocks() is None else kernel.blocks(),
        loop.size() if loop else "-", loop.count("HMMA") if loop else "-",
        f"{loop.each():.2f}" if loop and loop.each() else "-", loop.count(*MOVES) if loop else "-",
        f"{limit} {estimates[limit]:.0f}" if limit else "-")))


def print_table(kernels):
    room = WIDTH - len(COLUMNS.format(*TITLES))
    print("kernel".ljust(room) + COLUMNS.format(*TITLES))
    file = None
    for kernel in kernels:
        if kernel.file != file:
            file = kernel.file
            print(file)
        name, figures = "  " + kernel.name, COLUMNS.format(*figures_of(kernel).values())
        print(name.ljust(room) + figures if len(name) < room else name + "\n" + figures.rjust(WIDTH))


def print_differences(before, after):
    """For each kernel of both builds the figures that differ, and the kernels that only one build has."""
    old = {(kernel.file, kernel.name, kernel.architecture): kernel for kernel in before}
    new = {(kernel.file, kernel.name, kernel.architecture): kernel for kernel in after}
    print("\ndifferences from the other build")
    for key in sorted({*old, *new}):
        if key not in old or key not in new:
            changes = "only in the other build" if key in old else "new"
        else:
            figures, now = figures_of(old[key]), figures_of(new[key])
            changes = ", ".join(f"{title} {figures[title]} -> {now[title]}" for title in TITLES
                                if figures[title] != now[title])
        if changes:
            print(f"{key[0]}: {key[1]}, {key[2]}\n    {changes}")


def find_faults(kernels, limits):
    """One sentence for each limit that a hot kernel exceeds and for each entry of the list that matches no kernel."""
    faults = {}  # in order, each once
    for pattern, each, moves in limits:
        found = matching(kernels, pattern)
        if not found:
            faults[f"{pattern} is listed as hot, but matches no kernel: correct LIMITS in tools/sass_report.py"] = None
        for kernel in found:
            where = f"{kernel.file}: {kernel.name} for sm_{kernel.architecture}"
            if kernel.local():
                faults[f"{where}: {kernel.local()} instructions access local memory; expected none, because the kernel "
                       "is hot"] = None
            if each is None or kernel.capability() < 90:
                continue
            if not kernel.loop or not kernel.loop.each():
                faults[f"{where} has no loop with HMMA; expected one"] = None
                continue
            if kernel.loop.each() > each:
                faults[f"{where}: its loop has {kernel.loop.each():.2f} instructions for each HMMA; expected at most "
                       f"{each}"] = None
            if kernel.loop.count(*MOVES) > moves:
                faults[f"{where}: its loop has {kernel.loop.count(*MOVES)} moves; expected at most {moves}"] = None
    return list(faults)


def launch_of(parser, wanted):
    """PATTERN@THREADS+BYTES: the pattern, the threads of a block or 0, and its bytes of shared memory or None."""
    pattern, at, launch = wanted.partition("@")
    found = re.fullmatch(r"([0-9]+)(?:\+([0-9]+))?", launch)
    if at and not (found and 1 <= int(found[1]) <= 1024 and int(found[2] or 0) <= 227 * 1024):
        parser.error(f"--explain {wanted}: expected PATTERN, PATTERN@THREADS or PATTERN@THREADS+BYTES, with 1 to 1024 "
                     "threads and at most 227 KiB of shared memory")
    return pattern, int(found[1]) if found else 0, int(found[2]) if found and found[2] else None


def write_figures(path, kernels):
    """Whole or not at all. A file of another kind is left as it is."""
    info = "written by tools/sass_report.py"
    try:
        if path.exists() and info not in path.read_text():
            sys.exit(f"--json {path}: there is a file that this program has not written; name another, or remove it")
        rows = ",\n  ".join(json.dumps(kernel) for kernel in kernels)
        new = path.with_name(path.name + ".new")
        new.write_text(f'{{"info": "{info}",\n "kernels": [\n  {rows}]}}\n')
        new.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"--json {path}: it cannot be written: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--before", nargs="+", metavar="FILE", help="the files of another build")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a hot kernel exceeds a limit")
    parser.add_argument("--explain", nargs="+", metavar="PATTERN", help="kernels, as FILE:KERNEL with wildcards")
    parser.add_argument("--threads", type=int, default=0, metavar="N",
                        help="with --explain: of a block, for kernels that declare no maximum")
    parser.add_argument("--json", metavar="FILE", help="with --explain: write the figures, for tools/ladders.py")
    parser.add_argument("--find", action="store_true", help="only print where cuobjdump is; exit with 1 without it")
    options = parser.parse_args()
    if options.find:
        print(find_cuobjdump() or "cuobjdump was not found")
        sys.exit(0 if find_cuobjdump() else 1)
    if options.json and not options.explain:
        parser.error("--json goes with --explain")
    if options.json and not options.json.endswith(".json"):
        parser.error(f"--json {options.json}: expected a name that ends with .json")
    if not options.files:
        parser.error("expected at least one FILE")
    for name in [*options.files, *(options.before or [])]:
        if not os.path.isfile(name):
            parser.error(f"{name}: expected a file, and there is none")
    kernels = read_files(options.files)
    if not kernels:
        sys.exit(f"{', '.join(options.files)}: no kernel was found; expected objects that nvcc compiled")
    if options.explain:
        cards, missing, written = read_cards(), [], []
        for wanted in options.explain:
            pattern, threads, shared = launch_of(parser, wanted)
            found = matching(kernels, pattern)
            if not found:
                missing.append(f"--explain {pattern}: no kernel FILE:KERNEL matches, as conv2d_direct:*; the table without "
                               "--explain lists them")
            for kernel in found:
                launched = dataclasses.replace(kernel, threads=kernel.threads or threads or options.threads,
                                               launched_shared=shared)
                print("\n".join(explain(launched, cards)))
                written.append(figures(launched, cards))
        sys.stdout.flush()
        if missing:
            sys.exit("\n".join(missing))
        if options.json:
            write_figures(pathlib.Path(options.json), written)
        sys.exit()
    print_table(kernels)
    if options.before:
        print_differences(read_files(options.before), kernels)
    faults = find_faults(kernels, LIMITS) if options.check else []
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(kernels)} kernels, {sum(kernel.local() > 0 for kernel in kernels)} of them access local memory")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
