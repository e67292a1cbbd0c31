"""What the stages of gpu_check.py are run with: commands within a time limit, and what was found."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

LOGS = Path("out/gpu-check/logs")


class Failure(Exception):
    """A sentence: what failed in a stage."""


def json_lines(text):
    """The objects among the lines of a program's output. Throws Failure for a broken one."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    except json.JSONDecodeError as error:
        raise Failure(f"a line that begins with a brace is not JSON: {error}") from None


def telling_line(text):
    """Of a failed command's output: a compiler's first error, else what it said last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return next((line for line in lines if "error: " in line), lines[-1])[:300]


class Stage:
    """Runs a stage's commands within its time, and collects what it found."""

    def __init__(self, name, limit, options, gpu, toolkit):
        self.name, self.options, self.gpu, self.toolkit = name, options, gpu, toolkit
        self.deadline = time.monotonic() + limit
        self.found, self.faults, self.notes = {}, [], []
        self.commands = 0

    def run(self, command, environment=None):
        """The output of `command`. Throws Failure when it fails or the stage's time is over."""
        command = [str(word) for word in command]
        self.commands += 1
        log = LOGS / f"{self.name}-{self.commands}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        print(f"  {shlex.join(command)}  > {log}", flush=True)
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failure(f"no time was left for `{Path(command[0]).name}`")
        with open(log, "w") as file:
            try:
                process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                                           env={**os.environ, **(environment or {})})
            except OSError as error:
                raise Failure(f"{command[0]} cannot be run: {error.strerror}") from None
            try:
                status = process.wait(left)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Failure(f"`{Path(command[0]).name}` was stopped when the stage's time was over, "
                                  f"see {log}") from None
                raise
        text = log.read_text(errors="replace")
        if status != 0:
            raise Failure(f"`{Path(command[0]).name}` ended with {status}, see {log}: {telling_line(text)}")
        return text

    def attempt(self, work, *arguments):
        """What `work` returns; None when it fails, which the stage then does when it is over."""
        try:
            return work(*arguments)
        except Failure as failure:
            self.faults.append(str(failure))
            return None

    def peer(self, command):
        """Like `run`; None and a note when it fails: that PyTorch cannot do something is no fault of ours."""
        try:
            return self.run(command)
        except Failure as failure:
            self.notes.append(str(failure))
            return None

    def has_module(self, module):
        """Whether that Python has it, with a GPU."""
        code = f"import torch, {module}; raise SystemExit(0 if torch.cuda.is_available() else 1)"
        have = self.peer([self.options.python, "-c", code]) is not None
        if not have:
            self.notes[-1] = f"{self.options.python} has no {module} that finds the GPU: nothing to compare with"
        return have

    def precisions(self):
        return ["f32", "tf32", "bf16"] if int(re.match(r"\d+", self.gpu["arch"])[0]) >= 80 else ["f32"]
