"""Reports what CUDA kernels were compiled to: registers, shared memory, occupancy, and what their hot loops execute.

    tools/sass_report.py FILE...                        objects, cubins, programs, or text that cuobjdump printed
    tools/sass_report.py FILE... --before FILE...       the differences from another build as well
    tools/sass_report.py FILE... --check                exits with 1 if a hot kernel exceeds a limit of LIMITS below
    tools/sass_report.py FILE... --explain PATTERN      what limits the kernels FILE:KERNEL that match, on some cards
                                                        (--threads N: of a block, where a kernel declares no maximum)

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
            and what limits it: the largest of five estimates (see Kernel.estimates). Not a measurement.
"""

import argparse
import collections
import dataclasses
import fnmatch
import glob
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

# The kernels in which a training step or a detection spends most of its time, as FILE:KERNEL with wildcards. They must
# not use local memory. Numbers limit the hot loop from sm_90 on: instructions for each HMMA, and moves.
LIMITS = [
    ("conv2d_implicit_gemm:*", None, None),
    ("matmul_register_tiles:*", None, None),
    ("*_mma:*_mma_kernel<Bf16,*Tile<128,*", 4.5, 10),
    ("*_mma:*_mma_kernel<Bf16,*Tile<64,*", 7.5, 10),  # one HMMA in four, for the same copies
    ("conv2d_implicit_gemm_mma:*<Tf32,Tile<128,[12][25]*", 4.5, 10),
    ("matmul_mma:*<Tf32,0,[01],Tile<128,[12][25]*", 4.5, 10),
    ("matmul_mma:*<Tf32,1,0,Tile<128,[12][25]*", 4.5, 10),
    # ldmatrix cannot transpose floats, so operands that lie along their outer index are read one by one.
    ("matmul_mma:*<Tf32,1,1,Tile<128,[12][25]*", 5, 10),
    ("conv2d_dw_implicit_gemm_mma:*<Tf32,Tile<128,[12][25]*", 6, 10),
    ("*_mma:*_mma_kernel<Tf32,*Tile<128,64,*", 9, 10),
    ("*_mma:*_mma_kernel<Tf32,*Tile<64,*", 13, 10),
    ("roi_align_*:*", None, None),
    ("nms_*:compare_kernel*", None, None),
    ("nms_*:suppress_kernel*", None, None),
    ("sgd_*:sgd_kernel*", None, None),
    ("norm_rows_*:*", None, None),  # batch_norm and group_norm
]

# A multiprocessor of sm_90: it has four schedulers, and each issues an instruction for one warp per clock.
REGISTERS, WARPS, BLOCKS, SHARED = 65536, 64, 32, 228 * 1024
SCHEDULERS = 4
SHARED_PER_CLOCK = 128  # bytes
CACHE_PER_CLOCK = 24    # bytes from the second-level cache: 5.5 TB/s (published measurements) for 132 at 1.7 GHz
INTEGER_CLOCKS = 2      # 16 of a scheduler's lanes do integer arithmetic, comparisons and selections
# mma.sync m16n8k16 (bf16) or m16n8k8 (TF32): 4 clocks at the peak of sm_90, of which mma.sync reaches about 62 %
# (published measurements).
HMMA_CLOCKS = 6.4

INTEGER = {"IADD3", "IADD", "VIADD", "LEA", "LOP3", "SHF", "ISETP", "FSETP", "SEL", "FSEL", "IABS", "IMNMX", "VIMNMX",
           "FMNMX", "PRMT", "PLOP3", "SGXT", "BMSK"}
MOVES = ("MOV", "IMAD.MOV.U32", "UMOV")

# What the instructions of a loop are for, by the first part of their names; `--explain` counts them.
MIX = {
    "tensor cores": {"HMMA", "IMMA", "HGMMA", "BMMA"},
    "float arithmetic": {"FFMA", "FFMA2", "FADD", "FADD2", "FMUL", "FMUL2", "MUFU"},
    "shared memory": {"LDS", "LDSM", "STS", "ATOMS"},
    "global memory": {"LDG", "STG", "ATOMG", "RED", "LD", "ST"},
    "asynchronous copies": {"LDGSTS"},
    "barriers and waits": {"BAR", "DEPBAR", "LDGDEPBAR", "WARPSYNC", "SYNCS", "MEMBAR", "NANOSLEEP"},
    "branches": {"BRA", "BSSY", "BSYNC", "BREAK", "EXIT", "CALL", "RET", "BRX", "JMP"},
    "local memory": {"LDL", "STL"},
    "conversions": {"F2F", "F2FP", "I2F", "F2I", "I2FP", "F2IP", "I2I", "FRND"},
}

WIDTH = 110
COLUMNS = "{:>5}{:>6}{:>8}{:>6}{:>8}{:>6}{:>6}{:>6}{:>7}{:>16}"
TITLES = ("arch", "regs", "shared", "local", "blocks", "loop", "HMMA", "each", "moves", "estimate")


def width(opcode):
    """The bytes that an instruction on memory moves for each lane: 16 for LDS.128 and for LDSM.16.M88.4."""
    parts = opcode.split(".")
    if parts[0] == "LDSM":
        return 4 * int(parts[-1] if parts[-1] in ("2", "4") else 1)
    return max((int(part) // 8 for part in parts if part in ("64", "128")), default=4)


@dataclasses.dataclass
class Loop:
    counts: collections.Counter  # by whole opcode, "LDSM.16.M88.4"

    def count(self, *names):
        """Instructions with one of these opcodes, whatever follows after a dot."""
        return sum(n for opcode, n in self.counts.items()
                   if any((opcode + ".").startswith(name + ".") for name in names))

    def size(self):
        return sum(self.counts.values())

    def mix(self):
        """Instructions by what they are for, the most first. Moves are counted by MOVES; what is left is arithmetic
        on integers, most of it for addresses, and everything else."""
        mix = collections.Counter()
        for opcode, n in self.counts.items():
            name = opcode.split(".")[0]
            purpose = next((purpose for purpose, names in MIX.items() if name in names), None)
            if purpose is None and any((opcode + ".").startswith(move + ".") for move in MOVES):
                purpose = "moves"
            if purpose is None:
                purpose = "integers and addresses" if name in INTEGER | {"IMAD", "UIADD3", "ULEA", "UIMAD", "ULOP3",
                                                                         "USHF", "UISETP"} else "other"
            mix[purpose] += n
        return dict(mix.most_common())

    def loaded_bytes(self):
        """The bytes of global memory that a warp requests, for registers and for shared memory."""
        return sum(n * 32 * width(opcode) for opcode, n in self.counts.items()
                   if opcode.split(".")[0] in ("LDG", "LDGSTS"))

    def each(self):
        """Instructions for each HMMA, or None."""
        return self.size() / self.count("HMMA") if self.count("HMMA") else None

    def integer(self):
        return sum(n for opcode, n in self.counts.items() if opcode.split(".")[0] in INTEGER)

    def copied_bytes(self):
        """The bytes that a warp copies from global to shared memory."""
        return sum(n * 32 * width(opcode) for opcode, n in self.counts.items() if opcode.startswith("LDGSTS"))

    def shared_bytes(self):
        """The bytes of shared memory that a warp reads and writes, as if no two lanes read the same."""
        return sum(n * 32 * width(opcode) for opcode, n in self.counts.items()
                   if opcode.split(".")[0] in ("LDSM", "LDS", "STS", "LDGSTS"))


@dataclasses.dataclass
class Kernel:
    file: str          # "conv2d_implicit_gemm_mma"
    name: str          # "conv2d_mma_kernel<Bf16,Tile<128,128,2>>"; mangled until demangle
    architecture: str = ""
    registers: int = 0
    shared: int = 0    # bytes that the kernel declares, with what the system reserves
    threads: int = 0   # the maximum of a block; 0: not declared
    code: list = dataclasses.field(default_factory=list)  # (address, opcode, operands)
    loop: Loop | None = None

    def local(self):
        return sum(opcode.split(".")[0] in ("LDL", "STL") for _, opcode, _ in self.code)

    def dynamic_shared(self):
        """The bytes of shared memory that the launcher adds. The ring of kernels/gemm/mma_tile.h, and what its kernels
        keep beside it; 0 elsewhere."""
        tile = re.search(r"_mma_kernel<.*Tile<(\d+),(\d+),", self.name)
        if not tile:
            return 0
        rows, columns = int(tile[1]), int(tile[2])
        positions = 0
        if self.name.startswith("conv2d_mma_kernel"):
            positions = rows
        if self.name.startswith("conv2d_dw_mma_kernel"):
            positions = 3 * (64 if "Bf16" in self.name else 32)
        return 3 * (rows + columns) * 128 + positions * 16

    def blocks(self):
        """Blocks on a multiprocessor at a time, or None if the size of a block is not declared."""
        if not self.threads:
            return None
        warps = -(-self.threads // 32)
        registers = warps * -(-self.registers * 32 // 256) * 256  # a warp gets whole units of 256
        shared = max(self.shared, 1024) + self.dynamic_shared()   # 1 KiB is the system's
        return min(BLOCKS, WARPS // warps, REGISTERS // registers, SHARED // shared)

    def occupancy(self, card):
        """Blocks on a multiprocessor of a card at a time, and what limits them; None if the size of a block is not
        declared."""
        if not self.threads:
            return None
        warps = -(-self.threads // 32)
        shared = max(self.shared, 1024) + self.dynamic_shared()
        limits = {
            "warps": card.warps // warps,
            "registers": REGISTERS // (warps * -(-self.registers * 32 // 256) * 256) if self.registers else card.blocks,
            "shared memory": card.shared * 1024 // shared,
            "the number of blocks": card.blocks,
        }
        limit = min(limits, key=limits.get)
        return limits[limit], limit

    def estimates(self):
        """Clocks that a multiprocessor needs for one round of the hot loop, for all warps of a block."""
        if not self.loop or not self.threads:
            return {}
        warps = self.threads / 32
        return {
            "issue": self.loop.size() * warps / SCHEDULERS,
            "integer": self.loop.integer() * INTEGER_CLOCKS * warps / SCHEDULERS,
            "tensor": self.loop.count("HMMA") * HMMA_CLOCKS * warps / SCHEDULERS,
            "shared": self.loop.shared_bytes() * warps / SHARED_PER_CLOCK,
            "cache": self.loop.copied_bytes() * warps / CACHE_PER_CLOCK,
        }

    def figures(self):
        """What the table shows, by its titles."""
        loop, estimates = self.loop, self.estimates()
        limit = max(estimates, key=estimates.get, default=None)
        return dict(zip(TITLES, (
            self.architecture, self.registers, self.shared + self.dynamic_shared(), self.local(),
            "-" if self.blocks() is None else self.blocks(),
            loop.size() if loop else "-", loop.count("HMMA") if loop else "-",
            f"{loop.each():.2f}" if loop and loop.each() else "-", loop.count(*MOVES) if loop else "-",
            f"{limit} {estimates[limit]:.0f}" if limit else "-")))


def hot_loop(code):
    """The hot loop of a kernel (see above), or None."""
    best, best_key = None, None
    for address, opcode, operands in code:
        target = re.search(r"0x([0-9a-f]+)$", operands)
        if opcode.split(".")[0] != "BRA" or not target or int(target[1], 16) >= address:
            continue
        first = int(target[1], 16)
        loop = Loop(collections.Counter(op for at, op, _ in code if first <= at <= address))
        key = (loop.count("HMMA"), loop.count("FFMA", "FFMA2"), -loop.size())
        if (key[0] or key[1]) and (best is None or key > best_key):
            best, best_key = loop, key
    return best


def source_of(mangled, path):
    """The source file's name without its end: the compiler puts it into the name of the anonymous namespace."""
    found = re.search(r"_GLOBAL__N__[0-9a-f]{8}_\d+_(\w+?)_cu_[0-9a-f]{8}", mangled)
    return found[1] if found else path.name.split(".")[0]


def read_kernels(path, text):
    """The kernels of what `cuobjdump -elf -res-usage -sass` printed. For each architecture it prints the attributes,
    then the resources, then the code of all kernels."""
    kernels, waiting, current, threads_follow = [], {}, None, False

    def kernel(name):
        return waiting.setdefault(name, Kernel(source_of(name, path), name))

    for line in text.splitlines():
        if instruction := re.match(r"\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+ +)?([A-Z]\S*) *(.*?) *;", line):
            if current and "@!PT" not in line:  # never runs: ptxas fills gaps with such instructions
                current.code.append((int(instruction[1], 16), instruction[2], instruction[3]))
        elif attributes := re.match(r"\.nv\.info\.(\S+)$", line):
            current = kernel(attributes[1])
        elif "Attribute:" in line:
            threads_follow = "EIATTR_MAX_THREADS" in line
        elif threads_follow and (value := re.match(r"\s+Value:\s+0x(\w+) 0x(\w+) 0x(\w+)", line)):
            current.threads = int(value[1], 16) * int(value[2], 16) * int(value[3], 16)
        elif resources := re.match(r" Function (\S+):$", line):
            current = kernel(resources[1])
        elif used := re.match(r"\s+REG:(\d+) STACK:\d+ SHARED:(\d+)", line):
            current.registers, current.shared = int(used[1]), int(used[2])
        elif architecture := re.match(r"\s+code for sm_(\w+)", line):
            for name in waiting:
                waiting[name].architecture = architecture[1]
            kernels += waiting.values()
            of_code, waiting, current = waiting, {}, None
        elif function := re.match(r"\s+Function : (\S+)", line):
            current = of_code.get(function[1])  # None for a device function that kernels call
    for each in kernels:
        each.loop = hot_loop(each.code)
    return [each for each in kernels if each.code]


def find_cuobjdump():
    """The path of cuobjdump, or None."""
    packages = [*sys.path, *site.getsitepackages(), site.getusersitepackages()]
    folders = [os.path.join(os.environ["CUDA_HOME"], "bin")] if os.environ.get("CUDA_HOME") else []
    folders += os.environ.get("PATH", "").split(os.pathsep) + ["/usr/local/cuda/bin"]
    for package in packages:
        folders += glob.glob(f"{package}/nvidia/cu*/bin") + [f"{package}/triton/backends/nvidia/bin"]
    return shutil.which("cuobjdump", path=os.pathsep.join(folders))


def read_file(path):
    content = path.read_bytes()
    if not content.startswith(b"\x7fELF"):
        return read_kernels(path, content.decode(errors="replace"))
    program = find_cuobjdump()
    if not program:
        sys.exit("cuobjdump was not found in CUDA_HOME, on the PATH, in /usr/local/cuda or in Python's packages: "
                 "install the CUDA toolkit's, or the packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm of PyPI")
    folder = os.path.dirname(os.path.realpath(program))  # where nvdisasm lies
    done = subprocess.run([program, "-elf", "-res-usage", "-sass", str(path)], capture_output=True, text=True,
                          env={**os.environ, "PATH": folder + os.pathsep + os.environ.get("PATH", "")})
    if done.returncode and "does not contain device code" not in done.stdout + done.stderr:
        sys.exit(f"{program} {path} exited with {done.returncode}: {done.stderr.strip()}")
    return read_kernels(path, done.stdout)


def short(demangled):
    """The kernel's name and template arguments, without namespaces, casts and parameters."""
    name = re.sub(r"\(anonymous namespace\)::|\b(?:\w+::)+", "", demangled.strip()).removeprefix("void ")
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"\(\w+\)(?=-?\d)", "", name).replace(", ", ",").replace(" >", ">")


def demangle(kernels):
    mangled = "".join(kernel.name + "\n" for kernel in kernels)
    names = subprocess.run(["c++filt"], input=mangled, capture_output=True, text=True, check=True).stdout
    for kernel, name in zip(kernels, names.splitlines(), strict=True):
        kernel.name = short(name)


def read_files(paths):
    kernels = [kernel for path in paths for kernel in read_file(pathlib.Path(path))]
    demangle(kernels)
    return sorted(kernels, key=lambda kernel: (kernel.file, kernel.name, kernel.architecture))


def print_table(kernels):
    room = WIDTH - len(COLUMNS.format(*TITLES))
    print("kernel".ljust(room) + COLUMNS.format(*TITLES))
    file = None
    for kernel in kernels:
        if kernel.file != file:
            file = kernel.file
            print(file)
        name, figures = "  " + kernel.name, COLUMNS.format(*kernel.figures().values())
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
            figures, now = old[key].figures(), new[key].figures()
            changes = ", ".join(f"{title} {figures[title]} -> {now[title]}" for title in TITLES
                                if figures[title] != now[title])
        if changes:
            print(f"{key[0]}: {key[1]}, {key[2]}\n    {changes}")


def find_faults(kernels, limits):
    """One sentence for each limit that a hot kernel exceeds and for each entry of the list that matches no kernel."""
    faults = {}  # in order, each once
    for pattern, each, moves in limits:
        matching = [kernel for kernel in kernels if fnmatch.fnmatchcase(f"{kernel.file}:{kernel.name}", pattern)]
        if not matching:
            faults[f"{pattern} is listed as hot, but matches no kernel: correct LIMITS in tools/sass_report.py"] = None
        for kernel in matching:
            where = f"{kernel.file}: {kernel.name} for sm_{kernel.architecture}"
            if kernel.local():
                faults[f"{where}: {kernel.local()} instructions access local memory; expected none, because the kernel "
                       "is hot"] = None
            if each is None or int(re.match(r"\d+", kernel.architecture)[0]) < 90:
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


@dataclasses.dataclass
class Card:
    name: str
    capability: int
    shared: int  # KiB of a multiprocessor
    warps: int   # of a multiprocessor, at most
    blocks: int


def read_cards(path=None):
    """The cards of bench/cards.h."""
    path = path or pathlib.Path(__file__).resolve().parents[1] / "bench" / "cards.h"
    rows = re.findall(r'^    \{"(\w+)", (\d+), \d+, (?:[\d.]+, ){6}(\d+), (\d+), (\d+),\s', path.read_text(), re.M)
    if not rows:
        sys.exit(f"{path}: no card was found in kCards")
    return [Card(name, *map(int, rest)) for name, *rest in rows]


def explain(kernel, cards):
    """Lines on what limits a kernel, by its machine code."""
    warps = -(-kernel.threads // 32)
    block = f"at most {kernel.threads} threads of a block" if kernel.threads else "a block of undeclared size"
    lines = [f"{kernel.file}: {kernel.name}, sm_{kernel.architecture}",
             f"  {kernel.registers} registers for each thread, {block}, {kernel.shared} bytes of declared and "
             f"{kernel.dynamic_shared()} of dynamic shared memory"]
    if kernel.local():
        lines.append(f"  {kernel.local()} instructions access local memory: spilled registers or arrays that did not fit")
    for card in cards:
        if card.capability != int(re.match(r"\d+", kernel.architecture)[0]):
            continue
        fits = kernel.occupancy(card)
        if fits:
            lines.append(f"  {card.name}: {fits[0]} block{'' if fits[0] == 1 else 's'} on a multiprocessor at a time, "
                         f"{fits[0] * warps} of {card.warps} warps, limited by {fits[1]}")
    if not kernel.loop:
        return [*lines, "  no loop with multiplications of floats"]
    loop, size = kernel.loop, kernel.loop.size()
    lines.append(f"  hot loop: {size} instructions of a warp")
    lines += [f"    {n:6} {100 * n / size:5.1f} %  {purpose}" for purpose, n in loop.mix().items()]
    if kernel.threads and loop.loaded_bytes():
        lines.append(f"  a round requests {loop.loaded_bytes() * warps} bytes of global memory for each block, which are "
                     "in flight together if nothing waits for them in between")
    estimates = kernel.estimates()
    if estimates:
        limit = max(estimates, key=estimates.get)
        clocks = ", ".join(f"{name} {value:.0f}" for name, value in estimates.items())
        lines.append(f"  clocks of a multiprocessor of sm_90 for a round of a block, if other blocks fill all gaps: "
                     f"{clocks}; limited by {limit}")
        if estimates["tensor"]:
            lines.append(f"  so the tensor cores work at most {100 * estimates['tensor'] / estimates[limit]:.0f} % of the "
                         "time: a bound, not a measurement")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--before", nargs="+", metavar="FILE", help="the files of another build")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a hot kernel exceeds a limit")
    parser.add_argument("--explain", metavar="PATTERN", help="kernels, as FILE:KERNEL with wildcards")
    parser.add_argument("--threads", type=int, default=0, metavar="N",
                        help="with --explain: of a block, for kernels that declare no maximum")
    parser.add_argument("--find", action="store_true", help="only print where cuobjdump is; exit with 1 without it")
    options = parser.parse_args()
    if options.find:
        print(find_cuobjdump() or "cuobjdump was not found")
        sys.exit(0 if find_cuobjdump() else 1)
    if not options.files:
        parser.error("expected at least one FILE")
    kernels = read_files(options.files)
    if not kernels:
        sys.exit(f"{', '.join(options.files)}: no kernel was found; expected objects that nvcc compiled")
    if options.explain:
        found = [kernel for kernel in kernels if fnmatch.fnmatchcase(f"{kernel.file}:{kernel.name}", options.explain)]
        if not found:
            sys.exit(f"--explain {options.explain}: no kernel FILE:KERNEL matches, as conv2d_direct:*; the table without "
                     "--explain lists them")
        for kernel in found:
            kernel.threads = kernel.threads or options.threads
        cards = read_cards()
        print("\n".join(line for kernel in found for line in explain(kernel, cards)))
        sys.exit(0)
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
