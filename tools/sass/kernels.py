"""The kernels in what nvcc compiled: their resources, their code, and the hot loop of each.

tools/sass_report.py says how the code is read and which loop is the hot one.
"""

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

REGISTERS = 65536  # of a multiprocessor, from sm_80 to sm_90
# A multiprocessor of sm_90 has four schedulers, and each issues an instruction for one warp per clock.
SCHEDULERS = 4
SHARED_PER_CLOCK = 128  # bytes
CACHE_PER_CLOCK = 24    # bytes from the second-level cache: 5.5 TB/s (published measurements) for 132 at 1.7 GHz
INTEGER_CLOCKS = 2      # 16 of a scheduler's lanes do integer arithmetic, comparisons and selections
# mma.sync m16n8k16 (bf16) or m16n8k8 (TF32) at the peak of sm_90, of which mma.sync reaches about 62 % (published
# measurements).
HMMA_PEAK_CLOCKS = 4
HMMA_CLOCKS = 6.4

INTEGER = {"IADD3", "IADD", "VIADD", "LEA", "LOP3", "SHF", "ISETP", "FSETP", "SEL", "FSEL", "IABS", "IMNMX", "VIMNMX",
           "FMNMX", "PRMT", "PLOP3", "SGXT", "BMSK"}
MOVES = ("MOV", "IMAD.MOV.U32", "UMOV")


@dataclasses.dataclass
class Card:
    name: str
    capability: int
    shared: int  # KiB of a multiprocessor
    warps: int   # of a multiprocessor, at most
    blocks: int


H100 = Card("H100", 90, 228, 64, 32)


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
    launched_shared: int | None = None  # bytes of shared memory of a launch, declared and dynamic, if that is known

    def local(self):
        return sum(opcode.split(".")[0] in ("LDL", "STL") for _, opcode, _ in self.code)

    def dynamic_shared(self):
        """The bytes of shared memory that the launcher adds: those of the launch, or else the ring of
        kernels/gemm/mma_tile.h and what its kernels keep beside it. 0 for other kernels of which no launch is known."""
        if self.launched_shared is not None:
            system = 1024 if self.capability() >= 80 else 0  # is among what cuobjdump calls shared
            return max(0, self.launched_shared - max(0, self.shared - system))
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

    def capability(self):
        """90 for sm_90a."""
        return int(re.match(r"\d+", self.architecture)[0])

    def blocks(self):
        """Blocks on a multiprocessor of sm_90 at a time, or None if the size of a block is not declared."""
        fits = self.occupancy(H100)
        return fits and fits[0]

    def occupancy(self, card):
        """Blocks on a multiprocessor of a card at a time, and what limits them; None if the size of a block is not
        declared."""
        if not self.threads:
            return None
        warps = -(-self.threads // 32)
        shared = max(self.shared, 1024) + self.dynamic_shared()   # 1 KiB is the system's
        limits = {
            "warps": card.warps // warps,
            # A warp gets whole units of 256.
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


def matching(kernels, pattern):
    """The kernels whose FILE:KERNEL matches, with wildcards."""
    return [kernel for kernel in kernels if fnmatch.fnmatchcase(f"{kernel.file}:{kernel.name}", pattern)]
