"""Trains across two hosts that are network namespaces, and pulls the cable between them in the middle of a run.

    sudo python3 -B tests/ranks/two_hosts.py --program build/rcnn

Two namespaces with host names of their own are joined by a veth pair; mpirun starts the processes of the other one by a
launch agent in the place of ssh, and they talk over TCP. Seen must be: the bytes of one process; then, with the link
down, the sentence of the watchdog on both hosts, the end of all processes, a checkpoint that can be read, and, resumed
by one process, the bytes of a run that was never disturbed. The same without MPI, by --rendezvous. Exits with 1 if
something is otherwise, with 77 if the machine does not allow it. Needs root, ip (iproute2) and unshare (util-linux).
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import runs

SETTINGS = {"batch": 1, "accumulate": 4, "short-side": 64, "long-side": 96, "workers": 1, "warmup": 1,
            "rpn-post-nms-top-n-train": 60, "box-head-size": 32, "steps": 60, "checkpoint-every": 4}
RANK_TIMEOUT = 4
NET = "10.199.73"
# For mpirun's own connection to the other host: with the defaults it still waited for that host 30 s later.
KEEPALIVE = ("--mca", "oob_tcp_keepalive_time", "2", "--mca", "oob_tcp_keepalive_intvl", "1", "--mca",
             "oob_tcp_keepalive_probes", "3")

AGENT = """#!/bin/sh
# HOST COMMAND...: runs the command on that host, as ssh would.
host=$1
shift
exec ip netns exec {prefix}"$host" unshare --uts sh -c 'hostname "$1"; shift; eval "exec $*"' sh "$host" "$@"
"""


class Refused(Exception):
    pass


class TwoHosts:
    """The namespaces PREFIXhost-a and PREFIXhost-b, for as long as the object is used."""

    NAMES = ("host-a", "host-b")

    def __init__(self, folder):
        self.prefix = f"rcnn{os.getpid()}-"
        self.agent = folder / "agent.sh"
        self.agent.write_text(AGENT.format(prefix=self.prefix))
        self.agent.chmod(0o755)

    def ip(self, *words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(f"ip {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def __enter__(self):
        for tool in ("ip", "unshare", "hostname"):
            if not shutil.which(tool):
                raise Refused(f"there is no {tool}")
        try:
            for name in self.NAMES:
                self.ip("netns", "add", self.prefix + name)
            a, b = (self.prefix + name for name in self.NAMES)
            self.ip("-n", a, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", b)
            for i, namespace in enumerate((a, b)):
                self.ip("-n", namespace, "addr", "add", f"{NET}.{i + 1}/24", "dev", "cable")
                for device in ("lo", "cable"):
                    self.ip("-n", namespace, "link", "set", device, "up")
        except Refused:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.NAMES:
            for pid in self.processes(name):
                os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", self.prefix + name], capture_output=True)

    def processes(self, name, command=None):
        """The processes on a host: all, or those of this command."""
        done = subprocess.run(["ip", "netns", "pids", self.prefix + name], capture_output=True, text=True)
        found = []
        for pid in map(int, done.stdout.split()):
            try:
                running = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if command in (None, running):
                found.append(pid)
        return found

    def pull_the_cable(self):
        self.ip("-n", self.prefix + "host-a", "link", "set", "cable", "down")

    def plug_it_in(self):
        self.ip("-n", self.prefix + "host-a", "link", "set", "cable", "up")

    def bytes_sent(self, name):
        """By the network device of the host."""
        words = ["ip", "netns", "exec", self.prefix + name, "cat", "/sys/class/net/cable/statistics/tx_bytes"]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def mpirun(self, on_a, on_b):
        """mpirun on host-a, with so many processes on each host."""
        words = runs.mpirun(on_a + on_b, "--host", f"host-a:{on_a},host-b:{on_b}", "--mca", "plm_rsh_agent",
                            str(self.agent), "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "cable",
                            "--mca", "oob_tcp_if_include", "cable", *KEEPALIVE)
        return [str(self.agent), "host-a", *words]


class Seen:
    """What was expected and whether it was seen."""

    failed = False

    def __call__(self, true, what):
        print(("ok      " if true else "FAILED  ") + what, flush=True)
        self.failed |= not true


def quoted(words):
    """For the agent, which hands its words to a shell as ssh does."""
    return words[:2] + ["'" + word.replace("'", "'\\''") + "'" for word in words[2:]]


def pull_the_cable_in_a_run(hosts, seen, program, data, out):
    words = quoted(hosts.mpirun(1, 1) + runs.train(program, data, out, SETTINGS | {"rank-timeout": RANK_TIMEOUT}))
    metrics = out / "metrics.jsonl"
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=os.environ | runs.MPI_ENVIRONMENT)
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 7):
        time.sleep(0.01)
    hosts.pull_the_cable()
    begin = time.monotonic()
    ended = {}
    limit = RANK_TIMEOUT + 30
    parts = {
        "the process on host-a": lambda: not hosts.processes("host-a", "rcnn"),
        "the process on host-b": lambda: not hosts.processes("host-b", "rcnn"),
        "mpirun": lambda: process.poll() is not None,
        "mpirun's daemon on host-b": lambda: not hosts.processes("host-b"),
    }
    while time.monotonic() - begin < limit and len(ended) < len(parts):
        for name, has_ended in parts.items():
            if name not in ended and has_ended():
                ended[name] = time.monotonic() - begin
        time.sleep(0.05)
    for name in parts:
        if name in ended:
            seen(True, f"{name} has ended {ended[name]:.1f} s after the link went down")
        else:
            seen(False, f"{name} has not ended within {limit} s")
    if process.poll() is None:
        for name in hosts.NAMES:
            for pid in hosts.processes(name):
                os.kill(pid, signal.SIGKILL)
    output = process.communicate()[0]
    sentence = [line for line in output.splitlines() if "has not reached" in line]
    print("        " + "\n        ".join(sentence))
    seen(any("rank 1 (host-b) has not reached step" in line and f"for {RANK_TIMEOUT} s; last checkpoint step " in line
             for line in sentence), "rank 0 names the host that does not answer, the step and the checkpoint")
    # 205 is mpirun's own, if it notices first that it has lost the other host.
    seen(process.returncode in (1, 205), f"the status of mpirun is 1 or 205: {process.returncode}")
    if not sentence:
        print(output[-3000:])
    hosts.plug_it_in()


def run_with_mpi(hosts, seen, program, data, folder, one):
    for on_a, on_b in ((1, 1), (2, 1), (1, 3)):
        out = folder / f"{on_a}+{on_b}"
        before = hosts.bytes_sent("host-a")
        output, seconds = runs.run(quoted(hosts.mpirun(on_a, on_b) + runs.train(program, data, out, SETTINGS)))
        sent = hosts.bytes_sent("host-a") - before
        both = "(host-a)" in output and "(host-b)" in output
        differing = runs.differences(one, out)
        seen(both and not differing,
             f"{on_a} + {on_b} processes: " + (f"differ: {', '.join(differing)}" if differing else "equal bytes") +
             f" ({seconds:.1f} s, {sent / 1e6:.1f} MB sent by host-a)" + ("" if both else ", but on one host"))
    out = folder / "pulled"
    pull_the_cable_in_a_run(hosts, seen, program, data, out)
    step = int(runs.read_safetensors(out / "last.safetensors")[0]["step"])
    seen(0 < step < SETTINGS["steps"], f"the checkpoint is that of step {step}")
    runs.run(runs.train(program, data, out, SETTINGS | {"resume": None}))
    differing = runs.differences(one, out)
    seen(not differing, "resumed by one process: " + (", ".join(differing) or "the bytes of a run never disturbed"))


def start_without_mpi(hosts, on_a, on_b, place, words):
    """Starts the command in so many processes on each host, the highest rank first."""
    processes = []
    for rank in reversed(range(on_a + on_b)):
        own = {"RANK": str(rank), "WORLD_SIZE": str(on_a + on_b), "GLOO_SOCKET_IFNAME": "cable"}
        processes.append(subprocess.Popen(
            quoted([str(hosts.agent), "host-a" if rank < on_a else "host-b", *words, "--rendezvous", str(place)]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | runs.MPI_ENVIRONMENT | own))
    return processes[::-1]


def run_without_mpi(hosts, seen, program, data, folder, one):
    for on_a, on_b in ((1, 1), (2, 1), (1, 2)):
        out = folder / f"met-{on_a}+{on_b}"
        processes = start_without_mpi(hosts, on_a, on_b, folder / "meet", runs.train(program, data, out, SETTINGS))
        output = processes[0].communicate(timeout=120)[0]
        ended = [process.wait(timeout=20) for process in processes]
        differing = runs.differences(one, out) if ended == [0] * len(ended) else ["statuses " + str(ended)]
        both = "(host-a)" in output and "(host-b)" in output
        seen(both and not differing, f"{on_a} + {on_b} processes without MPI: "
             + (f"differ: {', '.join(differing)}" if differing else "equal bytes")
             + ("" if both else ", but on one host:\n" + output))
    out = folder / "met-pulled"
    metrics = out / "metrics.jsonl"
    processes = start_without_mpi(hosts, 1, 1, folder / "meet",
                                  runs.train(program, data, out, SETTINGS | {"rank-timeout": RANK_TIMEOUT}))
    while processes[0].poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 7):
        time.sleep(0.01)
    hosts.pull_the_cable()
    begin = time.monotonic()
    for i, process in enumerate(processes):
        other = 1 - i
        try:
            output = process.communicate(timeout=RANK_TIMEOUT + 30)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0]
        name = f"rank {other} ({hosts.NAMES[other]})"
        seen(process.returncode == 1 and f"{name} has not reached step" in output
             and f"for {RANK_TIMEOUT} s; last checkpoint step " in output,
             f"{hosts.NAMES[i]} has ended with {process.returncode} after {time.monotonic() - begin:.1f} s, and names {name}")
    hosts.plug_it_in()
    runs.run(runs.train(program, data, out, SETTINGS | {"resume": None}))
    differing = runs.differences(one, out)
    seen(not differing, "resumed by one process: " + (", ".join(differing) or "the bytes of a run never disturbed"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="rcnn")
    program = Path(parser.parse_args().program).resolve()
    has_mpi = runs.has_mpi(program)
    seen = Seen()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data, one = folder / "data", folder / "one"
        runs.make_scenes(program, data, train_images=8, val_images=3)
        runs.run(runs.train(program, data, one, SETTINGS))
        with TwoHosts(folder) as hosts:
            run_without_mpi(hosts, seen, program, data, folder, one)
            if has_mpi:
                run_with_mpi(hosts, seen, program, data, folder, one)
            else:
                print("skipped: with MPI, which this build has not, or there is no mpirun")
    return 1 if seen.failed else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except Refused as refused:
        print(f"skipped: {refused}")
        raise SystemExit(77)
