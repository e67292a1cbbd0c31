"""What the stages run on: the GPU, the programs, the tools of NVIDIA and the Python that has PyTorch."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from gpu.runner import Commands, Failure, Skipped

ROOT = Path(__file__).resolve().parents[2]
QUERY = "name,compute_cap,driver_version,memory.total"
CLOCKS = "clocks.sm,clocks.mem,power.draw,temperature.gpu,clocks_event_reasons.active"


def query_gpu():
    """{"name", "arch" ("90a"), "driver", "memory"} of the first GPU. Raises Failure if there is none."""
    try:
        done = subprocess.run(["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        raise Failure("there is no GPU on this machine: nvidia-smi cannot be run") from None
    if done.returncode != 0:
        said = (done.stdout.strip().splitlines() or ["nothing"])[0]
        raise Failure(f"there is no GPU on this machine: nvidia-smi says `{said}`")
    first = [part.strip() for part in done.stdout.strip().splitlines()[0].split(",")]
    if len(first) != 4 or not re.fullmatch(r"\d+\.\d", first[1]):
        raise Failure(f"nvidia-smi printed `{', '.join(first)}`; expected {QUERY}")
    arch = first[1].replace(".", "")
    return {"name": first[0], "arch": "90a" if arch == "90" else arch, "driver": first[2], "memory": first[3]}


SIMULATED = {"name": "simulated GPU", "arch": "90a", "driver": "none", "memory": "none"}


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def find_toolkit():
    """{"nvcc", "cuda" ("13.0")}, or an empty dictionary if there is no nvcc."""
    text = subprocess.run(["sh", str(ROOT / "tools/find_cuda.sh")], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"^NVCC := (\S+)", text, re.MULTILINE)
    if not found:
        return {}
    version = subprocess.run([found[1], "--version"], stdout=subprocess.PIPE, text=True).stdout
    release = re.search(r"release ([\d.]+)", version)
    return {"nvcc": found[1], "cuda": release[1] if release else "unknown"}


def library_folders(python):
    """The folders with cuDNN, cuBLAS and the like that `python` has as packages."""
    code = ("import glob, site\n"
            "for base in [*site.getsitepackages(), site.getusersitepackages()]:\n"
            "  print(*sorted(glob.glob(base + '/nvidia/*/lib')), sep='\\n')")
    try:
        done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return []
    return [line for line in done.stdout.splitlines() if line]


class Setup:
    """Everything that the stages share. `form` says how much is measured: first, check or rehearsal."""

    def __init__(self, form, gpu, folder, python=sys.executable, deps=None):
        self.form, self.gpu, self.python, self.deps = form, gpu, python, deps
        self.folder = Path(folder)  # of what is written as the run goes on
        self.commands = Commands(self.folder)
        self.toolkit = find_toolkit()
        self.clocks = self.folder / "clocks.csv"
        self.sampler = None
        self.torch = {}  # module of Python: why it cannot be used, or ""
        self.bundle = (ROOT / "bin/rcnn").exists()
        build = {"check": "gpu-check", "first": "gpu-check", "rehearsal": "release-sim"}[form]
        base = ROOT / "bin" if self.bundle else ROOT / "build" / build
        self.program, self.tests = base / "rcnn", base / "rcnn_tests"
        self.simulated = form == "rehearsal"
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.commit = self.find_commit()

    def find_commit(self):
        recorded = ROOT / "commit"
        if recorded.exists():  # in a bundle
            return recorded.read_text().strip()
        if not shutil.which("git"):
            return "unreleased"
        done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip() if done.returncode == 0 else "unreleased"

    def require_programs(self):
        """Raises Failure with what to build if the programs are not there."""
        if self.program.exists() and self.tests.exists():
            version = subprocess.run([self.program, "--version"], stdout=subprocess.PIPE, text=True).stdout
            if self.simulated and "simulated CUDA" not in version:
                raise Failure("the program here has no simulated GPU; rehearse in the project's own folder")
            return
        names = f"{self.program.relative_to(ROOT)} {self.tests.relative_to(ROOT)}"
        how = (f"make CUDA=sim {names}" if self.simulated else
               "python3 tools/gpu_check.py --only build, or unpack what `make gpu-bundle` makes and run it there")
        raise Failure(f"the programs are not built: {how}")

    def with_libraries(self):
        """The environment in which the program finds cuDNN and cuBLAS of Python's packages."""
        folders = library_folders(self.python) + [os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(folder for folder in folders if folder)}

    def tool(self, name):
        """The path of a tool of NVIDIA, which is on the PATH, beside nvcc or in /usr/local/cuda."""
        near = Path(self.toolkit.get("nvcc", "/usr/local/cuda/bin/nvcc")).parent
        found = shutil.which(name) or shutil.which(name, path=f"{near}:/usr/local/cuda/bin")
        if not found:
            raise Skipped(f"{name} is neither on the PATH nor beside nvcc")
        return found

    def require_gpu(self, user):
        """Raises Skipped if the GPU is simulated, which `user`, a tool or a library, cannot see."""
        if self.simulated:
            raise Skipped(f"{user} cannot see a simulated GPU")

    def require_torch(self, run, module):
        """Raises Skipped unless the Python has `module` and its PyTorch finds the GPU. Python is asked once, because
        PyTorch takes seconds to load."""
        if module not in self.torch:
            code = (f"import torch, {module}\n"
                    "raise SystemExit(None if torch.cuda.is_available() else 'its PyTorch finds no GPU')")
            try:
                run.run([self.python, "-c", code])
                self.torch.update({"torch": "", module: ""})
            except Failure as failure:
                self.torch[module] = str(failure).rpartition(": ")[2]
        if why := self.torch[module]:
            raise Skipped(f"{self.python} has no {module} that finds the GPU ({why})")

    def precisions(self):
        return ["f32", "tf32", "bf16"] if int(re.match(r"\d+", self.gpu["arch"])[0]) >= 80 else ["f32"]

    def gibibytes(self):
        """The memory of the GPU."""
        found = re.match(r"(\d+) MiB", self.gpu["memory"])
        return int(found[1]) / 1024 if found else 0

    # ---- the clocks, sampled while the stages run -------------------------------------------------------------

    def start_sampler(self):
        try:
            with open(self.clocks, "w") as file:
                self.sampler = subprocess.Popen(
                    ["nvidia-smi", f"--query-gpu={CLOCKS}", "--format=csv,noheader,nounits", "-lms", "500"],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL, start_new_session=True)
        except OSError:
            self.sampler = None

    def stop_sampler(self):
        if self.sampler:
            self.sampler.kill()
            self.sampler.wait()

    def clock_lines(self):
        """The SM clocks in MHz so far, of which every half second gives one."""
        if not self.sampler:
            return []
        return [int(line.split(",")[0]) for line in self.clocks.read_text().splitlines()
                if line.split(",")[0].strip().isdigit()]
