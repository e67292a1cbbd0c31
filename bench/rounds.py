"""Times several programs in turn (A B C A B C ...), with as many threads each, and prints tables of the result.

Each program prints one JSON object per line. {"what": "versions", ...} names the versions of its libraries,
{"what": "detect", "seconds": [...]} has the times of a kind of call, and {"what": "detect", "error": "..."} says
in a sentence why there are none. The figure of a round is the median of its calls, and the figure of a program is
the median of its rounds.
"""

import contextlib
import datetime
import json
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


HERE = Path(os.path.relpath(Path(__file__).resolve().parent))  # relative, so that commands are short
OUR_PROGRAM = str(HERE.parent / "build" / "rcnn")


@dataclass
class Program:
    name: str  # the title of its column
    command: list
    environment: dict = field(default_factory=dict)
    # Whether it may fail. Its times are then left out, with a note that says why.
    optional: bool = False
    limit: float = None  # seconds that one run may take; none: as long as it needs


MAX_LOAD = 0.5  # above it the machine is not quiet

# glibc returns large blocks to the kernel when they are freed, and the next allocation has to clear them again. A
# program that has no pool of its own is some percent faster if they are kept.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 60)}


class Failure(Exception):
    """Its text is a sentence that says why a program has no times."""


# ---- options -----------------------------------------------------------------------------------------------


def add_options(parser):
    """Adds the options that all comparisons have."""
    parser.add_argument("--python", default="/usr/bin/python3",
                        help="interpreter for the other programs [/usr/bin/python3, for which Debian packages torch]")
    parser.add_argument("--rounds", type=int, default=5, help="number of runs of each program")
    parser.add_argument("--threads", type=int, default=2, help="threads of each program")
    parser.add_argument("--busy", action="store_true", help="measure each round again beside one busy process")
    parser.add_argument("--compile-limit", type=float, default=1800, metavar="SECONDS",
                        help="time that one run with torch.compile may take [1800]")
    parser.add_argument("--json", metavar="FILE", help="write all measured times to this file")
    parser.add_argument("--markdown", metavar="FILE", help="write the medians to this file as a Markdown table")


def checked(parser):
    """The options of the command line."""
    options = parser.parse_args()
    for name in ("rounds", "threads", "steps"):
        if getattr(options, name, 1) < 1:
            parser.error(f"--{name} {getattr(options, name)}: expected at least 1")
    return options


def require_modules(python, modules):
    """Exits with a sentence unless `python` can import the modules, which takes seconds less than a failed round."""
    names = ", ".join(modules)
    try:
        done = subprocess.run([python, "-c", f"import {names}"], stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise SystemExit(f"--python {python} cannot be run: {error.strerror}; expected an interpreter that has "
                         f"{names}.") from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise SystemExit(f"--python {python} cannot import {names}; it says `{said}`. Expected an interpreter that has "
                         "them.")


# ---- the machine -------------------------------------------------------------------------------------------


def processor():
    """The name of the processor, and the widest vector instructions that it has.

    In virtual machines the name alone often does not tell.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    values = {}
    for key, colon, value in (line.partition(":") for line in lines):
        if colon:
            values.setdefault(key.strip(), value.strip())
    name = values.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in values:
        name += f" (family {values['cpu family']}, model {values.get('model', '?')})"
    flags = values.get("flags", "").split()
    widest = next((text for flag, text in (("amx_tile", "AVX-512 and AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))
                   if flag in flags), None)
    return f"{name}, {widest}" if widest else name


def machine(threads):
    """What a figure depends on besides the programs, at the start of the measurement."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = round(os.getloadavg()[0], 2)
    if load > MAX_LOAD:
        print(f"The machine is not quiet: its load is {load}, expected at most {MAX_LOAD}. Times will be too long, and "
              "ratios uncertain.", file=sys.stderr)
    return {"processor": processor(), "cores": cores, "threads": threads, "load": load,
            "date": datetime.date.today().isoformat()}


def describe_machine(found):
    return [found["processor"], f"{found['cores']} cores, {found['threads']} threads for each program, load at the start "
            f"{found['load']:.2f}, {found['date']}"]


# A process that computes until it is killed, or until the process that started it is gone.
BUSY = """import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1000000):
        pass
"""


@contextlib.contextmanager
def busy_process():
    """Runs one process that keeps a core busy. It may run on any core, as the programs that are timed may."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.DEVNULL)
    try:
        time.sleep(0.5)  # Python has started by then
        yield process
        if process.poll() is not None:
            raise SystemExit(f"The busy process ended with {process.returncode}; expected it to run until it is killed.")
    finally:
        process.kill()
        process.wait()


# ---- running the programs ----------------------------------------------------------------------------------


def output_of(program, threads):
    """What the program prints. Raises Failure if it fails or takes too long; then its children are killed as well."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
                   **program.environment}
    shown = shlex.join(program.command)
    try:
        process = subprocess.Popen(program.command, env=environment, stdout=subprocess.PIPE, text=True,
                                   start_new_session=True)
    except OSError as error:
        raise Failure(f"{program.command[0]} cannot be run: {error.strerror}.") from None
    try:
        text, _ = process.communicate(timeout=program.limit)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failure(f"`{shown}` did not end within {program.limit:g} s.") from None
        raise
    if process.returncode != 0:
        raise Failure(f"`{shown}` exited with {process.returncode}; expected 0.")
    return text


def measure(program, threads, whats):
    """Runs the program once: (the times {what: [seconds]}, its versions, {what: why it has no times})."""
    shown = shlex.join(program.command)
    try:
        text = output_of(program, threads)
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    except json.JSONDecodeError as error:
        raise SystemExit(f"`{shown}` printed a line that is not JSON: {error}.") from None
    except Failure as failure:
        if not program.optional:
            raise SystemExit(str(failure)) from None
        return {}, {}, {what: str(failure) for what in whats}
    by_what = {row.get("what"): row for row in rows}
    versions = {key: value for key, value in by_what.get("versions", {}).items() if key != "what"}
    times, errors = {}, {}
    for what in whats:
        row = by_what.get(what, {})
        if row.get("seconds"):
            times[what] = row["seconds"]
        elif program.optional and "error" in row:
            errors[what] = row["error"]
        else:
            raise SystemExit(f"`{shown}` printed no times of {what}; expected a line with them.")
    return times, versions, errors


def measure_in_turn(programs, rounds, threads, whats, busy=False):
    """Runs the programs in turn, `rounds` times, and with `busy` each round again beside a busy process.

    Returns {"commands", "versions", "notes" ({program: {what: why it has no times}}), "rounds" and "busy_rounds"
    (for each round {program: {what: [seconds]}})}. A program that has failed altogether is not run again.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the programs are ended as well
    record = {"commands": {program.name: shlex.join(program.command) for program in programs}, "versions": {},
              "notes": {}, "rounds": [], "busy_rounds": []}

    def one_round(kind):
        times = {}
        for program in programs:
            if len(record["notes"].get(program.name, {})) == len(whats):
                continue
            times[program.name], versions, errors = measure(program, threads, whats)
            record["versions"].setdefault(program.name, versions)
            if errors:
                record["notes"].setdefault(program.name, {}).update(errors)
        record[kind].append(times)

    for index in range(rounds):
        print(f"round {index + 1} of {rounds}", file=sys.stderr, flush=True)
        one_round("rounds")
        if busy:
            with busy_process():
                one_round("busy_rounds")
    return record


# ---- tables ------------------------------------------------------------------------------------------------


def round_medians(rounds, name, what):
    """The median of each round's calls in seconds; None for a round without times."""
    return [statistics.median(times[name][what]) if what in times.get(name, {}) else None for times in rounds]


def overall(rounds, name, what):
    """The median of the rounds' medians in seconds; None unless every round has times."""
    medians = round_medians(rounds, name, what)
    return statistics.median(medians) if medians and None not in medians else None


def divided(a, b):
    return a / b if a is not None and b else None


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def milliseconds(seconds):
    """Three to four digits."""
    ms = None if seconds is None else seconds * 1e3
    return number(ms, 2 if ms is None or ms < 20 else 1 if ms < 100 else 0)


LABEL, FIRST, PEER, RATIO = 24, 10, 15, 7  # widths of the columns: 100 with three peers


def text_row(label, cells):
    """`cells` are [(time, ratio)] of the programs, as texts; the first has no ratio."""
    text = f"{label:<{LABEL}}{cells[0][0]:>{FIRST}}"
    for value, ratio in cells[1:]:
        text += f"{value:>{PEER}}{ratio:>{RATIO}}"
    return text.rstrip()


def print_table(record, names, what, title):
    """A table of one kind of call: a row for each round, the medians, and the same beside a busy process."""

    def row(label, seconds):
        print(text_row(label, [(milliseconds(seconds[0]), "")] + [
            (milliseconds(theirs), number(divided(theirs, seconds[0]), 2)) for theirs in seconds[1:]]))

    print(f"\n{title}")
    print(text_row("ms", [(names[0], "")] + [(name, "ratio") for name in names[1:]]))
    for index, seconds in enumerate(zip(*(round_medians(record["rounds"], name, what) for name in names)), 1):
        row(f"round {index}", seconds)
    alone = [overall(record["rounds"], name, what) for name in names]
    row("median", alone)
    if record["busy_rounds"]:
        beside = [overall(record["busy_rounds"], name, what) for name in names]
        row("with one busy process", beside)
        factors = [number(divided(b, a), 2) for a, b in zip(alone, beside)]
        print(text_row("  factor against alone", [(factor, "") for factor in factors]))
    for name, why in notes_on(record, what):
        print(f"{name}: {why}")
    sys.stdout.flush()


def notes_on(record, what):
    return [(name, errors[what]) for name, errors in record["notes"].items() if what in errors]


def versions_text(record):
    """One line for each set of versions, with the programs that have it."""
    names = {}
    for name, versions in record["versions"].items():
        text = ", ".join(value if key == "rcnn" else f"{key} {value}" for key, value in versions.items())
        names.setdefault(text, []).append(name)
    return [f"{', '.join(having)}: {text}" for text, having in names.items() if text]


def short_time(seconds):
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.02 else f"{seconds * 1e3:.1f} ms"


def markdown_rows(record, names, what, label):
    """The rows of a Markdown table whose head is `markdown_head`."""

    def row(text, seconds):
        cells = [text, short_time(seconds[0])]
        for theirs in seconds[1:]:
            cells += [short_time(theirs), number(divided(theirs, seconds[0]), 2)]
        return f"| {' | '.join(cells)} |"

    alone = [overall(record["rounds"], name, what) for name in names]
    rows = [row(label, alone)]
    if record["busy_rounds"]:
        beside = [overall(record["busy_rounds"], name, what) for name in names]
        rows.append(row("the same with one busy process", beside))
        factors = [number(divided(b, a), 2) for a, b in zip(alone, beside)]
        cells = ["its factor against the time alone", factors[0]] + [cell for factor in factors[1:] for cell in (factor, "")]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def markdown_head(names):
    cells = ["what", "this program"] + [cell for name in names[1:] for cell in (name, "ratio")]
    return [f"| {' | '.join(cells)} |", f"|{' --- |' * len(cells)}"]


def command_line():
    return shlex.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]])


def heading(found, rounds, versions):
    """The lines before a Markdown table: where, when, with what and how the figures were made."""
    return ["; ".join(describe_machine(found)) + f"; medians of {rounds} rounds.", "",
            *(f"- {text}" for text in versions), "", "```sh", command_line(), "```", ""]


class Report:
    """Measures one subject (a model) after another, prints tables, and writes the files that the options name.

    The options are --threads, --rounds, --busy, --json and --markdown. Files are written after each subject, so that
    its results remain if a later one ends the script.
    """

    def __init__(self, options):
        self.options = options
        self.machine = machine(options.threads)
        self.records, self.rows, self.notes, self.versions, self.names = {}, [], [], [], []
        print("\n".join(describe_machine(self.machine)))

    def measure(self, subject, programs, labels):
        """`labels` are {what: its title}. Returns {what: {peer: its time divided by ours, or None}}."""
        self.names = [program.name for program in programs]
        for program in programs:
            print(f"{program.name}: {shlex.join(program.command)}", flush=True)
        options = self.options
        record = measure_in_turn(programs, options.rounds, options.threads, list(labels), options.busy)
        self.records[subject] = record
        self.versions = versions_text(record)
        print("\n" + "\n".join(self.versions))
        for what, label in labels.items():
            print_table(record, self.names, what, label.replace("`", ""))
            self.rows += markdown_rows(record, self.names, what, label)
            self.notes += [f"{name}, {label}: {why}" for name, why in notes_on(record, what)]
        self.write()
        ours = {what: overall(record["rounds"], self.names[0], what) for what in labels}
        return {what: {name: divided(overall(record["rounds"], name, what), ours[what]) for name in self.names[1:]}
                for what in labels}

    def write(self):
        if self.options.json:
            document = {"machine": self.machine, "command": command_line(), "subjects": self.records}
            Path(self.options.json).write_text(json.dumps(document, indent=1) + "\n")
        if self.options.markdown:
            lines = heading(self.machine, self.options.rounds, self.versions)
            lines += markdown_head(self.names) + self.rows
            lines += [""] * bool(self.notes) + [f"- {note}" for note in self.notes]
            Path(self.options.markdown).write_text("\n".join(lines) + "\n")
