"""Tests of tools/ncu_lab.py, on made-up output of ncu. Run by tests/tools/test_scripts.cpp."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import ncu_lab  # noqa: E402

OUTPUT = '''cuda:0: the first GPU
==PROF== Connected to process 7
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","one_kernel(Args)","gpu__time_duration.sum","us","12.5"
"0","one_kernel(Args)","lts__t_sector_hit_rate.pct","%","81.2"
"1","two_kernel","gpu__time_duration.sum","us","3"
==PROF== Disconnected
'''


class Counters(unittest.TestCase):
    def test_every_launch_has_its_counters(self):
        launches = ncu_lab.kernels(OUTPUT)
        self.assertEqual([name for name, _ in launches], ["one_kernel(Args)", "two_kernel"])
        self.assertEqual(launches[0][1]["gpu__time_duration.sum"], "12.5 us")
        text = ncu_lab.table(launches)
        self.assertIn("L2 hits", text)
        self.assertIn("81.2 %", text)
        self.assertIn("not counted", text)
        self.assertEqual(text.count("bank conflicts"), 2)

    def test_an_error_of_ncu_is_told(self):
        with self.assertRaises(SystemExit) as stopped:
            ncu_lab.kernels("==ERROR== ERR_NVGPUCTRPERM - no permission\n")
        self.assertIn("ERR_NVGPUCTRPERM", str(stopped.exception))

    def test_the_command_asks_for_ten_counters_and_one_launch(self):
        words = ncu_lab.command("ncu", "rcnn", ["nms=columns", "--case", "2"], ["--clock-control", "none"])
        self.assertEqual(len(words[words.index("--metrics") + 1].split(",")), 10)
        source = TOOLS.parent / "bench/lab_timer.cpp"
        if source.exists():  # in a checkout
            name = words[words.index("--nvtx-include") + 1].rstrip("/")
            self.assertIn(f'cuda::Range range("{name}")', source.read_text())
        self.assertEqual(words[-10:], ["none", "rcnn", "lab", "time", "nms=columns", "--case", "2", "--device", "cuda",
                                       "--once"])

    def test_the_script_runs_ncu(self):
        with tempfile.TemporaryDirectory() as folder:
            ncu = Path(folder) / "ncu"
            ncu.write_text(f"#!/bin/sh\ncat <<'EOF'\n{OUTPUT}EOF\n")
            ncu.chmod(0o755)
            path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
            done = subprocess.run([sys.executable, TOOLS / "ncu_lab.py", "nms=columns"], env=path, text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("two_kernel", done.stdout)
            path["PATH"] = folder + "/none"
            done = subprocess.run([sys.executable, TOOLS / "ncu_lab.py", "nms=columns"], env=path, text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("ncu is not on the PATH", done.stderr)


if __name__ == "__main__":
    unittest.main()
