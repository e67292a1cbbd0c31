"""Prints the resources that each CUDA kernel uses, and fails if a hot kernel spills registers.

    tools/cuda_report.py build/release-cuda/kernels/*.log

Reads the output of `nvcc -Xptxas -v`, one log per object: registers per thread, static shared memory per block
(dynamic shared memory is chosen at launch and is not in the log), and the stack and spilled bytes per thread.
Exits with 1 if a kernel listed as hot spills, or if an entry of that list matches no kernel.
"""

import dataclasses
import fnmatch
import pathlib
import re
import subprocess
import sys

# The kernels in which a training step or a detection spends most of its time, as FILE:KERNEL with wildcards.
HOT = [
    "conv2d_implicit_gemm:*",
    "conv2d_*mma:*_mma_kernel*",
    "matmul_register_tiles:*",
    "matmul_mma:*_mma_kernel*",
    "roi_align_*:*",
    "nms_*:compare_kernel*",
    "nms_*:suppress_kernel*",
    "sgd_*:sgd_kernel*",
    "norm_rows_*:*",  # batch_norm and group_norm
]

WIDTH = 100
COLUMNS = "{:<8}{:>4}{:>8}{:>7}{:>13}"  # architecture, registers, shared memory, stack, spills


@dataclasses.dataclass
class Kernel:
    file: str  # "conv2d_implicit_gemm"
    name: str  # "forward_kernel<128,64>"
    architecture: str
    registers: int = 0
    shared: int = 0
    stack: int = 0
    stored: int = 0  # bytes spilled
    loaded: int = 0

    def spills(self):
        return self.stored > 0 or self.loaded > 0


def read_log(path):
    """The kernels of one log, with mangled names."""
    kernels, functions, function = [], {}, None
    for line in path.read_text(errors="replace").splitlines():
        if entry := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
            # x.cu.o.log is the log of x.cu.
            kernels.append(Kernel(path.name.split(".")[0], *entry.groups()))
            functions = {entry[1]: kernels[-1]}
        elif properties := re.search(r"Function properties for (\S+)", line):
            function = functions.get(properties[1])  # None for a device function that a kernel calls
        elif frame := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if function:
                function.stack, function.stored, function.loaded = map(int, frame.groups())
        elif used := re.search(r"Used (\d+) registers", line):
            kernels[-1].registers = int(used[1])
            if shared := re.search(r"(\d+) bytes smem", line):
                kernels[-1].shared = int(shared[1])
    return kernels


def short(demangled):
    """The kernel's name and template arguments, without namespaces, casts and parameters."""
    name = re.sub(r"\(anonymous namespace\)::|\b(?:\w+::)+", "", demangled.strip()).removeprefix("void ")
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"\(\w+\)(?=-?\d)", "", name).replace(", ", ",")


def demangle(kernels):
    mangled = "".join(kernel.name + "\n" for kernel in kernels)
    names = subprocess.run(["c++filt"], input=mangled, capture_output=True, text=True, check=True).stdout
    for kernel, name in zip(kernels, names.splitlines(), strict=True):
        kernel.name = short(name)


def print_table(kernels):
    room = WIDTH - len(COLUMNS.format("", "", "", "", ""))
    print("kernel".ljust(room) + COLUMNS.format("arch", "regs", "shared", "stack", "spill st/ld"))
    file = None
    for kernel in kernels:
        if kernel.file != file:
            file = kernel.file
            print(file)
        name = "  " + kernel.name
        if len(name) >= room:
            name = name[:room - 4] + "..."
        spilled = f"{kernel.stored}/{kernel.loaded}"
        print(name.ljust(room) + COLUMNS.format(kernel.architecture, kernel.registers, kernel.shared, kernel.stack,
                                                spilled))


def find_faults(kernels, hot):
    """One sentence for each hot kernel that spills and for each entry of the list that matches no kernel."""
    faults, seen = [], set()
    for pattern in hot:
        matching = [kernel for kernel in kernels if fnmatch.fnmatchcase(f"{kernel.file}:{kernel.name}", pattern)]
        if not matching:
            faults.append(f"{pattern} is listed as hot, but matches no kernel: correct HOT in tools/cuda_report.py")
        for kernel in matching:
            fault = (f"{kernel.file}: {kernel.name} is hot and spills on {kernel.architecture}: each thread stores "
                     f"{kernel.stored} bytes and loads {kernel.loaded}")
            if kernel.spills() and fault not in seen:
                seen.add(fault)
                faults.append(fault)
    return faults


def main():
    paths = [pathlib.Path(argument) for argument in sys.argv[1:]]
    if not paths:
        sys.exit(__doc__.strip())
    kernels = [kernel for path in paths for kernel in read_log(path)]
    if not kernels:
        sys.exit(f"the {len(paths)} logs contain no kernel: `make CUDA=1` writes them when nvcc compiles")
    demangle(kernels)
    kernels.sort(key=lambda kernel: (kernel.file, kernel.name, kernel.architecture))
    print_table(kernels)
    faults = find_faults(kernels, HOT)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(kernels)} kernels, {sum(kernel.spills() for kernel in kernels)} of them spill")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
