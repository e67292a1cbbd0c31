"""One trial each: a command under a fault or a limit, what it must leave, and the run after it."""

import collections
import hashlib
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.torture.commands import make_commands, make_inputs
from tests.torture.state import differences, state_of

TIME_LIMIT = 60  # seconds; the commands take less than one
MIB = 1 << 20


class Lost(Exception):
    """Something that must hold after a fault does not."""


class Run:
    """A command that has ended."""

    def __init__(self, status, out, err, calls):
        self.status, self.out, self.err, self.calls = status, out, err, calls

    @property
    def end(self):
        """The end of what it said on standard error."""
        return self.err.strip()[-300:]

    @property
    def killed(self):
        return self.status == -signal.SIGKILL


def require(holds, sentence):
    if not holds:
        raise Lost(sentence)


class Attack:
    """Prepares the inputs, the commands' results without a fault, and counts what becomes of the trials."""

    def __init__(self, program, library, root):
        self.program, self.library, self.root = program, library, root
        self.inputs, self.out = root / "inputs", root / "out"
        self.tried, self.losses, self.started = collections.Counter(), [], 0
        self.commands = make_commands()
        self.by_name = {command.name: command for command in self.commands}
        make_inputs(program, self.inputs)
        self.input_state = state_of(self.inputs)
        for command in self.commands:
            self.prepare(command)

    # ---- running

    def start(self, words, fault=None, log=None, limit=None):
        environment = dict(os.environ)
        if fault or log:
            environment.update(LD_PRELOAD=self.library, RCNN_FAULT_FOLDER=str(self.root))
        if fault:
            environment["RCNN_FAULT"] = fault
        if log:
            log.unlink(missing_ok=True)
            environment["RCNN_FAULT_LOG"] = str(log)

        def limited():
            if limit:
                resource.setrlimit(limit[0], (limit[1], limit[1]))

        words = [word.replace("{in}", str(self.inputs)).replace("{out}", str(self.out)) for word in words]
        self.started += 1
        files = [self.root / f"{name}-{self.started % 2}" for name in ("stdout", "stderr")]
        with open(files[0], "wb") as out, open(files[1], "wb") as err:
            process = subprocess.Popen([self.program, *words], env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, preexec_fn=limited)
        process.files = files
        return process

    def finish(self, process, log=None):
        try:
            status = process.returncode if process.returncode is not None else process.wait(TIME_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Lost(f"it was still running after {TIME_LIMIT} seconds") from None
        out, err = (path.read_text(errors="replace") for path in process.files)
        calls = log.read_text(errors="replace").splitlines() if log and log.exists() else []
        return Run(status, out, err, calls)

    def run_command(self, words, **how):
        return self.finish(self.start(words, **how), how.get("log"))

    def empty_outputs(self, command=None):
        shutil.rmtree(self.out, ignore_errors=True)
        if command and command.before:
            shutil.copytree(command.before, self.out)
        else:
            self.out.mkdir()

    def prepare(self, command):
        """Runs the command once without a fault, counts its calls, and prepares what its folder holds before."""
        log = self.root / "log"
        if command.name == "resume":  # of a training that was killed after the checkpoint of its second step
            self.empty_outputs()
            run = self.run_command(self.by_name["train"].words, fault="rename:4:kill-after")
            require(run.killed, f"the training to resume ended with {run.status}: {run.err}")
            command.before = self.root / "before-resume"
            shutil.copytree(self.out, command.before)
        elif command.name in ("detect", "export", "propose", "eval"):  # the results of other weights
            self.empty_outputs()
            other = [word.replace("a.safetensors", "b.safetensors") for word in command.words]
            require(self.run_command(other).status == 0, f"{command.name} fails without a fault")
            command.before = self.root / f"before-{command.name}"
            shutil.copytree(self.out, command.before)
        self.empty_outputs(command)
        command.old = state_of(self.out)
        run = self.run_command(command.words, log=log)
        require(run.status == 0, f"{command.name} fails without a fault: {run.err}")
        command.clean = state_of(self.out)
        if command.trains:
            command.metrics = (self.out / "metrics.jsonl").read_bytes()
        counter = collections.Counter(line.split(" ", 1)[0] for line in run.calls)
        command.calls = {**counter, "any": sum(counter.values())}

    # ---- trials

    def run(self, trial):
        """Runs one trial and counts it: `detect write:3:ENOSPC`, `eval memory:300`, `chain 7`, `twice train`."""
        name, what = trial.split(" ", 1)
        kind = name
        if name not in ("chain", "twice"):  # a fault FUNCTION:N:KIND, or a limit KIND:N
            kind = what.split(":")[-1 if what.count(":") == 2 else 0]
        self.count(kind, trial, lambda: self.try_one(name, what), f"--trial {shlex.quote(trial)}")

    def count(self, kind, name, action, again):
        self.tried[kind] += 1
        try:
            action()
            require(state_of(self.inputs) == self.input_state, "an input has changed")
        except Lost as loss:
            command = f"python3 tests/torture/torture.py --program {shlex.quote(os.path.relpath(self.program))} {again}"
            print(f"LOST {name}: {loss}\n  again: {command}", flush=True)
            self.losses.append((kind, name))
            if state_of(self.inputs) != self.input_state:
                shutil.rmtree(self.inputs)
                make_inputs(self.program, self.inputs)

    def try_one(self, name, what):
        if name == "chain":
            return self.chain_of_kills(random.Random(int(what)))
        if name == "twice":
            return self.two_at_once(self.by_name[what])
        command = self.by_name[name]
        if what.count(":") == 2:
            return self.fault(command, what)
        return self.limit(command, *what.split(":"))

    def report(self):
        lost = collections.Counter(kind for kind, _ in self.losses)
        print(f"{'kind':24}{'tried':>8}{'survived':>10}{'lost':>8}")
        for kind in sorted(self.tried):
            print(f"{kind:24}{self.tried[kind]:8}{self.tried[kind] - lost[kind]:10}{lost[kind]:8}")
        print(f"{'all':24}{self.tried.total():8}{self.tried.total() - lost.total():10}{lost.total():8}")
        return 1 if self.losses else 0

    def fault(self, command, fault):
        self.empty_outputs(command)
        function, number, kind = fault.split(":")
        log = self.root / "log"
        run = self.run_command(command.words, fault=fault, log=log)
        of_function = [line.split(" ", 1) for line in run.calls if function in ("any", line.split(" ", 1)[0])]
        reached = of_function[int(number.rstrip("+")) - 1 :]
        failed = [path for _, path in (reached if number.endswith("+") else reached[:1])]
        may_kill = kind.startswith("kill")
        require(not run.killed or may_kill, "it was killed")
        if not may_kill or not failed:
            self.check_status(run)
        harmless = may_kill or kind in ("EINTR", "short")
        if harmless and not run.killed:
            require(run.status == 0, f"exit status {run.status}: {run.end}")
        # An input that cannot be read is left out of the work, which a sentence says.
        spoilt = not harmless and any(path.startswith(str(self.inputs)) for path in failed)
        self.check_outputs(command, run, spoilt, temporaries=run.killed or function == "unlink")
        self.check_next_run(command, spoilt)

    def check_status(self, run):
        require(run.status in (0, 1, 2), f"exit status {run.status}: {run.end}")
        require("crashed" not in run.err, run.end)
        if run.status != 0:
            lines = run.err.strip().splitlines()
            require(lines and lines[-1].startswith("rcnn: ") and len(lines[-1]) > 20, f"no sentence: {run.end!r}")

    def check_outputs(self, command, run, spoilt, temporaries):
        """Every file is the old or the new one."""
        found = state_of(self.out)
        left = found.pop("temporaries", [])
        require(temporaries or not left, f"temporary files remain: {left}")
        if run.status == 0 and not spoilt:
            wrong = differences(found, command.clean)
            require(not wrong, f"exit status 0, but {'; '.join(wrong[:5])}")
        if "summary.json" in found and run.status == 0:
            summary, best = (self.out / name for name in ("summary.json", "best.safetensors"))
            digest = hashlib.sha256(best.read_bytes()).hexdigest()
            require(json.loads(summary.read_bytes())["weights_sha256"] == digest, "the summary is of other weights")
        for name, digest in found.items():
            if ".part/" in name:
                require(run.killed or run.status != 0, f"{name} remains")
            elif name == "metrics.jsonl":  # a beginning of the lines, of which the last may be cut off
                require(spoilt or command.metrics.startswith((self.out / name).read_bytes()), f"{name} has other lines")
            elif command.trains and name.endswith(".safetensors"):
                require(not digest.startswith("not whole"), f"{name} is {digest}")
            elif not spoilt:
                known = (command.old.get(name), command.clean.get(name))
                require(digest in known, f"{name} is neither the old nor the new file")

    def check_next_run(self, command, spoilt):
        """The next run, without a fault, gives what a run that was never disturbed does."""
        shutil.rmtree(self.out / "new", ignore_errors=True)  # of the commands that write into a new folder only
        if (part := self.out / "new.part").exists():
            run = self.run_command(command.words)
            require(run.status == 2 and "new.part" in run.err, f"{part} was overlooked: {run.status}, {run.end}")
            shutil.rmtree(part)
        run = self.run_command([*command.words, *(command.retry or [])])
        if spoilt and command.trains and run.status == 2:
            return  # the data are no longer those that the training began with
        require(run.status == 0, f"the next run ends with {run.status}: {run.end}")
        found = state_of(self.out)
        left = found.pop("temporaries", [])
        require(not left, f"temporary files remain after the next run: {left}")
        wrong = differences(found, command.clean)
        require(spoilt or not wrong, f"after the next run {'; '.join(wrong[:5])}")

    def limit(self, command, what, number):
        """A limit of the process: of addresses in MiB, of descriptors, or of the size of a file in bytes."""
        self.empty_outputs(command)
        kind, unit = {"memory": (resource.RLIMIT_AS, MIB), "descriptors": (resource.RLIMIT_NOFILE, 1),
                      "filesize": (resource.RLIMIT_FSIZE, 1)}[what]
        limit = kind, int(number) * unit
        run = self.run_command(command.words, limit=limit)
        if run.status == 127 and "shared" in run.err:
            return  # the dynamic linker could not even load the program
        self.check_status(run)
        spoilt = what == "descriptors" and "annot be read" in run.out + run.err
        self.check_outputs(command, run, spoilt, temporaries=False)
        self.check_next_run(command, spoilt)

    def chain_of_kills(self, rng):
        """A training that is killed or stopped several times, by the clock or at a call, and resumed each time."""
        command = self.by_name["train"]
        self.empty_outputs(command)
        words, history = command.words, []
        for _ in range(rng.randint(2, 6)):
            if rng.random() < 0.5:
                call = rng.randint(1, command.calls["any"])
                history.append(f"any:{call}:{rng.choice(['kill-before', 'kill-after'])}")
                run = self.run_command(words, fault=history[-1])
                require(run.killed or run.status == 0, f"{history}: exit status {run.status}: {run.end}")
            else:
                number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
                wait = rng.uniform(0, 0.8)
                history.append(f"{number.name} after {wait:.3f} s")
                process = self.start(words)
                time.sleep(wait)
                process.send_signal(number)
                run = self.finish(process)
                require(run.status in (0, -number, 128 + number), f"{history}: exit status {run.status}: {run.end}")
            words = [*command.words, "--resume"]
        try:
            self.check_next_run(command, spoilt=False)
        except Lost as loss:
            raise Lost(f"{', '.join(history)}: {loss}") from None

    def two_at_once(self, command):
        """Two runs in one folder: of trainings the second is refused; of others both may win, file by file."""
        self.empty_outputs(command)
        first = self.start(command.words)
        time.sleep(0.05)
        lock = self.out / "run.lock"
        holder = b"process %d\n" % first.pid
        while command.trains and first.poll() is None and not (lock.exists() and holder in lock.read_bytes()):
            time.sleep(0.005)
        held = first.poll() is None
        second = self.start([*command.words, *(command.retry or [])])
        status, other = first.wait(TIME_LIMIT), self.finish(second)
        require(status == 0, f"the first run ends with {status}: {other.end}")
        if command.trains:
            refused = other.status == 2 and "is training in this folder" in other.err
            require(other.status == 0 or (held and refused), f"the second ends with {other.status}: {other.end}")
        else:
            require(other.status == 0, f"the second ends with {other.status}: {other.end}")
        found = state_of(self.out)
        require(not found.pop("temporaries", []), "temporary files remain")
        wrong = differences(found, command.clean)
        require(not wrong, "; ".join(wrong[:5]))
