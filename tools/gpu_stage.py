"""Stages of gpu_check.py: each runs commands within a time limit and collects what was found."""

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
    """Its text is a sentence that says what failed in a stage."""


def json_lines(text):
    """The JSON objects among the lines of a program's output. Raises Failure if one is malformed."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    except json.JSONDecodeError as error:
        raise Failure(f"a line that begins with a brace is not valid JSON: {error}") from None


def telling_line(text):
    """The line of a failed command's output to report: a compiler's first error, otherwise the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it printed nothing"]
    return next((line for line in lines if "error: " in line), lines[-1])[:300]


class Stage:
    """Runs the commands of one stage within its time limit, and collects what it found."""

    def __init__(self, name, limit, options, gpu, toolkit):
        self.name, self.options, self.gpu, self.toolkit = name, options, gpu, toolkit
        self.deadline = time.monotonic() + limit
        self.found, self.faults, self.notes = {}, [], []
        self.commands = 0

    def run(self, command, environment=None):
        """Runs `command` and returns its output. Raises Failure if it fails or exceeds the stage's time limit."""
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
                    raise Failure(f"`{Path(command[0]).name}` was stopped at the stage's time limit, "
                                  f"see {log}") from None
                raise
        text = log.read_text(errors="replace")
        if status != 0:
            raise Failure(f"`{Path(command[0]).name}` exited with {status}, see {log}: {telling_line(text)}")
        return text

    def attempt(self, work, *arguments):
        """Calls `work` and returns its result. If it fails, returns None and records the fault: the stage
        continues, but is reported as failed."""
        try:
            return work(*arguments)
        except Failure as failure:
            self.faults.append(str(failure))
            return None

    def peer(self, command):
        """Like `run`, but returns None and adds a note if the command fails, because a failure of PyTorch is not a
        fault of this project."""
        try:
            return self.run(command)
        except Failure as failure:
            self.notes.append(str(failure))
            return None

    def has_module(self, module):
        """Whether the Python given by --python can import `module` and its PyTorch finds a GPU."""
        code = f"import torch, {module}; raise SystemExit(0 if torch.cuda.is_available() else 1)"
        have = self.peer([self.options.python, "-c", code]) is not None
        if not have:
            self.notes[-1] = f"{self.options.python} has no {module} that finds the GPU, so nothing is compared"
        return have

    def precisions(self):
        return ["f32", "tf32", "bf16"] if int(re.match(r"\d+", self.gpu["arch"])[0]) >= 80 else ["f32"]
