"""A standing attack: runs small commands of the program while single calls of the system fail, the disk is full, memory
or descriptors are short, or the process is killed, and checks after each fault that nothing is lost:

- the command ends by itself, with exit status 0, 1 or 2, and a failure says why in a sentence;
- the inputs are unchanged;
- every file among the outputs is the old one or the new one, whole; no temporary file remains after a failure, and
  none after the next run that succeeds in the folder;
- that run gives the bytes of one that was never disturbed, also a training that is resumed after several kills.

Prints how many faults of each kind were tried, survived and lost. Each loss is printed with the command that repeats
it, and then the exit status is 1.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.torture import bombs, long_runs  # noqa: E402
from tests.torture.trials import Attack  # noqa: E402

# Faults that make sense for a function; "+" fails all later calls, too.
WRITING = ["ENOSPC", "ENOSPC+", "EIO", "EINTR"]
KINDS = {
    "open": ["EIO", "EINTR", "EACCES", "EMFILE", "EMFILE+", "ENOSPC"],
    "opendir": ["EIO", "EACCES", "ENOMEM"],
    "mkdir": ["ENOSPC", "EACCES"],
    "read": ["EIO", "EIO+", "EINTR", "short", "short+"],
    "write": [*WRITING, "short", "short+", "kill-half"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "rename": ["ENOSPC", "EIO", "EACCES"],
    "close": ["ENOSPC", "EIO", "EINTR"],
    "mmap": ["ENOMEM"],
    "unlink": ["EIO", "EACCES"],
    "ftruncate": ["EIO", "EINTR"],
    "flock": ["EINTR", "ENOLCK"],
    "link": ["EIO", "ENOSPC"],
}
KILLS = ["kill-before", "kill-after"]


def draw_fault(rng, command):
    """A fault of this command: `write:3:ENOSPC`."""
    if rng.random() < 0.4:
        return f"any:{rng.randint(1, command.calls['any'])}:{rng.choice(KILLS)}"
    function = rng.choice([name for name in KINDS if command.calls.get(name)])
    kind = rng.choice(KINDS[function] + KILLS)
    on = "+" if kind.endswith("+") else ""
    return f"{function}:{rng.randint(1, command.calls[function])}{on}:{kind.rstrip('+')}"


def draw_limit(rng):
    what = rng.choice(["memory", "descriptors", "filesize"])
    largest = {"memory": 1200, "descriptors": 24, "filesize": 3_000_000}[what]
    smallest = {"memory": 80, "descriptors": 3, "filesize": 8192}[what]  # bytes, for what the program says
    return f"{what}:{rng.randint(smallest, largest)}"


def draw_trials(rng, commands):
    """Endless trials: of ten, seven faults of a call, two limits, and in turn kills in a row and two runs at once."""
    while True:
        for i in range(10):
            command = rng.choice(commands)
            if i < 7:
                yield f"{command.name} {draw_fault(rng, command)}"
            elif i < 9:
                yield f"{command.name} {draw_limit(rng)}"
            elif rng.random() < 0.7:
                yield f"chain {rng.randrange(10**6)}"
            else:
                yield f"twice {rng.choice(['train', 'resume', 'detect', 'synth'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/rcnn", help="[build/rcnn]")
    parser.add_argument("--library", default="build/torture/faults.so", help="[build/torture/faults.so]")
    parser.add_argument("--seconds", type=float, default=1200, help="how long faults are tried [1200]")
    parser.add_argument("--seed", type=int, help="of the choice of faults [from the clock]")
    parser.add_argument("--trial", action="append", help="try this only, such as 'detect write:3:ENOSPC'")
    parser.add_argument("--long", action="store_true", help="also watch the memory of long runs")
    parser.add_argument("--only-long", action="store_true", help="watch the memory of long runs, and nothing else")
    parser.add_argument("--bombs", action="store_true", help="only the files that ask for much memory or time")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    program, library = (str(Path(path).resolve()) for path in (options.program, options.library))
    os.environ.update(OMP_NUM_THREADS="2", GOMP_SPINCOUNT="1000", LC_ALL="C.UTF-8")
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="rcnn-torture-") as folder:
        attack = Attack(program, library, Path(folder))
        if options.trial:
            for trial in options.trial:
                attack.run(trial)
            return attack.report()
        if options.bombs:
            bombs.run_all(attack, show=True)
            return attack.report()
        if options.only_long:
            long_runs.run_all(attack)
            return attack.report()
        print(f"seed {seed}, {options.seconds:.0f} seconds", flush=True)
        bombs.run_all(attack)
        if options.long:
            long_runs.run_all(attack)
        for trial in draw_trials(random.Random(seed), attack.commands):
            if time.monotonic() > end:
                break
            attack.run(trial)
        return attack.report()


if __name__ == "__main__":
    raise SystemExit(main())
