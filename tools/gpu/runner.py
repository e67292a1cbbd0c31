"""Runs the stages of gpu_first.py and gpu_check.py: each within a time limit, whatever happens in it.

A stage is a function that takes a `StageRun`. It runs commands with it, and leaves in it what was found, faults (then
the stage has failed), notes and what was not finished. `Skipped` ends a stage that cannot run on this machine, with a
sentence that says why.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LOG_LIMIT = 60_000  # characters of one command's output that are kept


class Failure(Exception):
    """Its message is a sentence that says what failed in a stage. `printed` is what a command had printed by then."""

    def __init__(self, sentence, printed=""):
        super().__init__(sentence)
        self.printed = printed


class Skipped(Exception):
    """Its text is a sentence that says why a stage cannot run here."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """An entry of the list of stages. `limits` are {form: seconds}; a form that is missing does not have the stage."""
    name: str
    does: str
    limits: dict
    work: Callable


@dataclasses.dataclass
class Ended:
    """A command that has ended: its output, and its exit status, None if it was stopped at the time limit."""
    status: int | None
    text: str


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


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


class Commands:
    """Starts commands, and kills those that are still running when it is closed or their time is over.

    Their outputs are appended to one file as they end, so that they remain if this process is killed.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log.txt"
        self.log.write_text("")
        self.running = {}  # process: (command, file of its output)
        self.started = 0

    def start(self, command, environment=None):
        """Starts a command in a process group of its own. Raises Failure if it cannot be run."""
        command = [str(word) for word in command]
        self.started += 1
        output = self.folder / f"output-{os.getpid()}-{self.started}"
        with open(output, "w") as file:
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                           start_new_session=True, env={**os.environ, **(environment or {})})
            except OSError as error:
                output.unlink()
                raise Failure(f"{command[0]} cannot be run: {error.strerror}") from None
        self.running[process] = (command, output)
        return process

    def end(self, process):
        """What a process left. Kills it, and those that it started, if it is still running."""
        command, output = self.running.pop(process)
        status = process.poll()
        # Also after a normal end: a child may run on. The group exists as long as one of its processes does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        text = output.read_text(errors="replace")
        output.unlink()
        with open(self.log, "a") as log:
            said = "stopped at the time limit" if status is None else f"exit status {status}"
            log.write(f"\n$ {shlex.join(command)}\n# {said}\n{text[-LOG_LIMIT:]}\n")
        return Ended(status, text)

    def wait(self, process, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(seconds, 0))
        return self.end(process)

    def close(self):
        for process in list(self.running):
            self.end(process)


class StageRun:
    """Runs the commands of one stage within its time limit, and collects what it found."""

    def __init__(self, setup, deadline):
        self.setup, self.deadline = setup, deadline
        self.found, self.faults, self.notes, self.unfinished = {}, [], [], []

    @classmethod
    def within(cls, seconds, setup):
        return cls(setup, time.monotonic() + seconds)

    def left(self):
        """Seconds until the time limit."""
        return self.deadline - time.monotonic()

    def run(self, command, environment=None, limit=None):
        """Runs `command` and returns its output. Raises Failure if it fails or exceeds the time limit."""
        name = Path(str(command[0])).name
        print(f"  {shlex.join(str(word) for word in command)}"[:200], flush=True)
        if self.left() <= 0:
            raise Failure(f"no time was left for `{name}`")
        commands = self.setup.commands
        ended = commands.wait(commands.start(command, environment), min(self.left(), limit or self.left()))
        if ended.status is None:
            raise Failure(f"`{name}` was stopped at the time limit; the last that it said is `{telling_line(ended.text)}`",
                          ended.text)
        if ended.status != 0:
            raise Failure(f"`{name}` exited with {ended.status}: {telling_line(ended.text)}", ended.text)
        return ended.text

    def attempt(self, work, *arguments, **options):
        """Calls `work` and returns its result. If it fails, records the fault and returns what a command had
        printed by then: the stage continues, but is reported as failed."""
        try:
            return work(*arguments, **options)
        except Failure as failure:
            self.faults.append(str(failure))
            return failure.printed

    def peer(self, command, **options):
        """Like `run`, but adds a note if the command fails and returns what it had printed by then, because a
        failure of PyTorch is not a fault of this project."""
        try:
            return self.run(command, **options)
        except Failure as failure:
            self.notes.append(str(failure))
            return failure.printed

    def run_all(self, commands, jobs, environment=None):
        """Runs {label: command}, `jobs` at a time. Returns {label: Ended}; what did not end is None, or missing if it
        was not even started."""
        waiting, running, ended = list(commands.items()), {}, {}
        print(f"  {len(waiting)} commands, {jobs} at a time", flush=True)
        while waiting or running:
            while waiting and len(running) < jobs and self.left() > 0:
                label, command = waiting.pop(0)
                running[self.setup.commands.start(command, environment)] = label
            for process in [process for process in running if process.poll() is not None or self.left() <= 0]:
                ended[running.pop(process)] = self.setup.commands.end(process)
            if self.left() <= 0 and not running:
                break
            time.sleep(0.01)
        return ended


def run_stage(stage, setup, seconds):
    """Runs one stage, at most `seconds` long, and returns its entry in the results."""
    print(f"{stage.name}:", flush=True)
    begin = time.monotonic()
    run = StageRun.within(seconds, setup)
    skipped = None
    clock_lines = setup.clock_lines()
    try:
        stage.work(run)
    except Skipped as reason:
        skipped = str(reason)
    except Failure as failure:
        run.faults.append(str(failure))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        # A file is missing or a program printed something unexpected. The next stages still run.
        run.faults.append(f"{type(error).__name__}: {error}")
    finally:
        setup.commands.close()
    taken = time.monotonic() - begin
    result = ("skipped" if skipped else "FAILED" if run.faults else "partly" if run.unfinished else "passed")
    print(f"  {result}{': ' + skipped if skipped else ''} ({taken:.1f} s)", flush=True)
    for fault in run.faults:
        print(f"  FAILED: {fault}", flush=True)
    entry = {"result": result, "seconds": round(taken, 1), "limit": round(seconds, 1), "date": now(),
             "commit": setup.commit, "faults": run.faults, "unfinished": run.unfinished, "notes": run.notes,
             "found": run.found}
    if skipped:
        entry["notes"] = [skipped]
    clocks = setup.clock_lines()[len(clock_lines):]
    if clocks:
        entry["clocks"] = clocks
    return entry


def run_stages(stages, setup, total, after):
    """Runs the stages one after another, `total` seconds at most. What a stage leaves of its time goes to those
    behind it. `after(name, entry)` is called after each."""
    begin = time.monotonic()
    end, allowed = begin + total, 0
    for stage in stages:
        left = end - time.monotonic()
        allowed += stage.limits[setup.form]
        if left < 1:
            after(stage.name, {"result": "skipped", "seconds": 0, "limit": 0, "date": now(), "commit": setup.commit,
                               "faults": [], "unfinished": [], "found": {},
                               "notes": [f"no time was left of {total:.0f} s"]})
            continue
        after(stage.name, run_stage(stage, setup, min(begin + allowed - time.monotonic(), left)))
