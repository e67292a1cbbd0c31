"""Tests of how gpu_first.py and gpu_check.py run their stages. Run by tests/tools/test_scripts.cpp."""

import contextlib
import fnmatch
import io
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu import checks, entry, runner, speed, stages  # noqa: E402
from gpu.machine import SIMULATED, Setup  # noqa: E402
from gpu.runner import Failure, Skipped, Stage  # noqa: E402
from processes import gone  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.setup = Setup("first", dict(SIMULATED), self.folder / "work")

    def stage(self, name, work, limit=20):
        return Stage(name, "", {"first": limit, "rehearsal": limit, "check": limit}, work)

    def run_stages(self, *pairs, total=60):
        """The entries of stages given as (name, function) or (name, function, limit), in order."""
        entries = {}
        with contextlib.redirect_stdout(io.StringIO()) as self.said:
            runner.run_stages([self.stage(*pair) for pair in pairs], self.setup, total, entries.__setitem__)
        return entries


class Limits(Case):
    def test_a_stage_that_hangs_is_stopped_with_its_children_and_the_next_one_runs(self):
        pid = self.folder / "pid"

        def hang(run):
            run.found["before"] = 1
            run.run(["sh", "-c", f"echo so far; sleep 60 & echo $! > {pid}; sleep 60"])

        begin = time.monotonic()
        entries = self.run_stages(("hang", hang, 0.7), ("next", lambda run: run.run(["true"])))
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(entries["hang"]["result"], "FAILED")
        self.assertEqual(entries["hang"]["faults"],
                         ["`sh` was stopped at the time limit; the last that it said is `so far`"])
        self.assertEqual(entries["hang"]["found"], {"before": 1})
        self.assertEqual(entries["next"]["result"], "passed")
        self.assertTrue(gone(int(pid.read_text())))
        self.assertIn("# stopped at the time limit\nso far\n", self.setup.commands.log.read_text())

    def test_a_child_that_outlives_its_command_is_killed(self):
        pid = self.folder / "pid"
        self.run_stages(("leave", lambda run: run.run(["sh", "-c", f"sleep 60 & echo $! > {pid}"])))
        self.assertTrue(gone(int(pid.read_text())))

    def test_limit_of_the_whole_run(self):
        entries = self.run_stages(("a", lambda run: run.run(["sleep", "60"]), 50), ("b", lambda run: None), total=1.1)
        self.assertLess(entries["a"]["seconds"], 10)
        self.assertEqual((entries["b"]["result"], entries["b"]["notes"]), ("skipped", ["no time was left of 1 s"]))

    def test_what_a_stage_leaves_goes_to_those_behind_it(self):
        entries = self.run_stages(("a", lambda run: None, 5), ("b", lambda run: None, 3), ("c", lambda run: None, 4),
                                  total=10.5)
        self.assertEqual([round(entry["limit"]) for entry in entries.values()], [5, 8, 10])

    def test_several_commands_of_which_one_hangs(self):
        ended = {}

        def fan(run):
            commands = {"quick": ["echo", "1"], "slow": ["sleep", "60"], "bad": ["false"], "late": ["echo", "2"]}
            ended.update(run.run_all(commands, 2))

        entries = self.run_stages(("fan", fan, 1.5))
        self.assertEqual(entries["fan"]["faults"], [])
        self.assertEqual({label: end.status for label, end in ended.items()},
                         {"quick": 0, "slow": None, "bad": 1, "late": 0})
        self.assertEqual(ended["late"].text, "2\n")

    def test_commands_that_were_never_started(self):
        ended = {}
        self.run_stages(("fan", lambda run: ended.update(run.run_all({"a": ["sleep", "60"], "b": ["true"]}, 1)), 0.5))
        self.assertEqual(list(ended), ["a"])

    def test_seven_minutes(self):
        chosen = stages.stages_of("first")
        self.assertEqual(sum(stage.limits["first"] for stage in chosen), 420)
        names = [stage.name for stage in stages.STAGES]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([stage.name for stage in stages.stages_of("rehearsal")], [stage.name for stage in chosen])
        self.assertLess({stage.name for stage in chosen}, {stage.name for stage in stages.stages_of("check")})


class Results(Case):
    def test_faults_and_reasons(self):
        def skip(_):
            raise Skipped("there is no torch")

        def fail(_):
            raise Failure("it is broken")

        def crash(_):
            return {}["absent"]

        def partly(run):
            run.unfinished.append("conv2d")

        entries = self.run_stages(("skip", skip), ("fail", fail), ("crash", crash), ("partly", partly),
                                  ("exits", lambda run: run.run(["sh", "-c", "echo why; exit 3"])),
                                  ("absent", lambda run: run.run(["/no/program"])))
        self.assertEqual({name: entry["result"] for name, entry in entries.items()},
                         {"skip": "skipped", "fail": "FAILED", "crash": "FAILED", "partly": "partly",
                          "exits": "FAILED", "absent": "FAILED"})
        self.assertEqual(entries["skip"]["notes"], ["there is no torch"])
        self.assertEqual(entries["crash"]["faults"], ["KeyError: 'absent'"])
        self.assertEqual(entries["exits"]["faults"], ["`sh` exited with 3: why"])
        self.assertEqual(entries["absent"]["faults"], ["/no/program cannot be run: No such file or directory"])

    def entry_run(self, *pairs):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = entry.run(self.setup, [self.stage(*pair) for pair in pairs], 60, self.folder / "results")
        return status, said.getvalue()

    def test_files_are_written_after_each_stage_and_the_table_is_last(self):
        seen = []
        file = self.folder / "results" / "simulated-gpu.json"
        status, said = self.entry_run(
            ("one", lambda run: run.found.update(summary="a figure")),
            ("two", lambda run: seen.append(json.loads(file.read_text())["stages"]["one"]["found"]["summary"])))
        self.assertEqual((status, seen), (0, ["a figure"]))
        table = said[said.rindex("simulated GPU, sm_90a"):]
        self.assertRegex(table, r"\none +passed +0\.0 s  a figure\ntwo +passed")
        self.assertTrue(table.endswith("no stage failed\n"))
        self.assertIn("a figure", file.with_suffix(".md").read_text())
        # A later run of one stage keeps the results of the others.
        status, said = self.entry_run(("two", lambda run: run.faults.append("wrong")))
        self.assertEqual(status, 1)
        self.assertIn("failed: two\n", said)
        self.assertEqual({name: found["result"] for name, found in json.loads(file.read_text())["stages"].items()},
                         {"one": "passed", "two": "FAILED"})

    def test_a_run_that_is_told_to_stop_ends_its_commands_and_prints_the_table(self):
        pid = self.folder / "pid"
        code = (f"import sys\nsys.path.insert(0, {str(ROOT / 'tools')!r})\nfrom pathlib import Path\n"
                "from gpu import entry\nfrom gpu.machine import SIMULATED, Setup\nfrom gpu.runner import Stage\n"
                f"setup = Setup('first', dict(SIMULATED), {str(self.folder / 'own')!r})\n"
                "stages = [Stage('one', '', {'first': 60}, lambda run: run.found.update(summary='a figure')),\n"
                "          Stage('two', '', {'first': 60}, lambda run: run.run(\n"
                f"            ['sh', '-c', 'echo $$ > {pid}; sleep 60']))]\n"
                f"entry.run(setup, stages, 60, Path({str(self.folder / 'own')!r}))\n")
        process = subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        self.assertIn("a figure", said[said.rindex("simulated GPU"):])
        self.assertTrue(gone(int(pid.read_text())))


class Scripts(Case):
    def run_script(self, name, *options):
        # A PATH without nvidia-smi.
        return subprocess.run([sys.executable, "-B", str(ROOT / "tools" / name), *options], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env={"PATH": str(self.folder)}, cwd=self.folder)

    def test_without_a_gpu(self):
        rehearse = "" if (ROOT / "bin").is_dir() else "; --rehearse goes through the stages with a simulated GPU"
        for name, hint in (("gpu_first.py", rehearse), ("gpu_check.py", "")):  # a bundle has no simulated GPU
            done = self.run_script(name)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, f"{name.replace('_', '-')[:-3]}: there is no GPU on this machine: nvidia-smi "
                                          f"cannot be run{hint}.\n")

    def test_unknown_stage(self):
        done = self.run_script("gpu_first.py", "--only=ops,speed")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--only: there is no stage speed; expected some of probe, ", done.stderr)


@unittest.skipUnless((ROOT / "kernels").is_dir(), "there are no sources here")
class Lists(unittest.TestCase):
    def test_ops_with_shared_memory(self):
        """The list names every op whose kernels say that they use shared memory, and no other file does."""
        uses = r"RCNN_SHARED|dynamic_shared|block_sum\.h|chunks_cuda\.h|(gemm|mma)_tiles?\.h|roi_gather\.h|sort_keys"
        families = {family_of(op) for op in checks.SHARED_MEMORY}
        for file in (ROOT / "kernels").glob("*/*.cu"):
            if re.search(uses, file.read_text()):
                self.assertTrue(any(file.name.startswith(family) for family in families) or
                                file.name in ("mma_pack.cu", "sort_keys_cuda.cu", "norm_rows_cuda.cu"), file.name)

    def test_tests_of_cpus(self):
        """What a card leaves out is in files that the Makefile leaves out of the tests of devices, and these name none."""
        files = re.search(r"KERNEL_TESTS := \$\(filter-out ([^,]*),", (ROOT / "Makefile").read_text())[1].split()
        text = "".join((ROOT / name).read_text() for name in files)
        self.assertEqual({name.split(":")[0] for name in re.findall(r'TEST_CASE\("([^"]+)"', text)}, set(checks.ON_CPUS))
        self.assertNotRegex(text, "DeviceType::cuda|simulated_orders|on_cuda")

    def test_tests_of_devices(self):
        """Tests that use a device are among those that a card runs first, all but one that only reads a size there."""
        uses = r"DeviceType::cuda, |simulated_orders|devices_to_verify"
        chosen = [pattern.removeprefix("*") for pattern in checks.DEVICE_TESTS.split(",")] + ["tests/core/cuda/*"]
        for file in (ROOT / "tests").glob("*/**/*.c*"):
            name = str(file.relative_to(ROOT))
            if re.search(uses, file.read_text()) and name not in ("tests/train/test_memory.cpp",
                                                                  "tests/core/test_tensor.cpp"):
                self.assertTrue(any(fnmatch.fnmatch(name, pattern) for pattern in chosen), name)

    def test_profiled_kernels_exist(self):
        sources = "".join(file.read_text() for file in (ROOT / "kernels").glob("*/*.cu"))
        for _, _, kernel in speed.PROFILED:
            self.assertIn(f" {kernel}(", sources)


def family_of(op):
    return re.sub(r"(_dx|_dw|_backward)$", "", op).replace("clip_gradients", "sgd")


if __name__ == "__main__":
    unittest.main()
