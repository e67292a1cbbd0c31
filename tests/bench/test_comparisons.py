"""Tests of the scripts in bench/ that time programs in turn. Run by tests/bench/test_comparisons.cpp."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compare_torchvision  # noqa: E402
import conv_table  # noqa: E402
import rounds  # noqa: E402
from processes import alive, gone  # noqa: E402


def command(code):
    """The command that runs Python code, as options take it."""
    return shlex.join([sys.executable, "-c", code])


def rows(**what):
    """Code that prints a row for each argument: a list of seconds, or the text of an error."""
    lines = [{"what": name, **({"seconds": value} if isinstance(value, list) else {"error": value})}
             for name, value in what.items()]
    return "".join(f"print({json.dumps(json.dumps(line))})\n" for line in lines)


OURS = rows(train_step=[0.1, 0.3, 0.1], detect=[0.01])
THEIRS = rows(train_step=[0.25], detect=[0.005])


class Comparison(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(Path(self.folder.name) / name)

    def compare(self, *options, ours=OURS, theirs=THEIRS):
        return subprocess.run([sys.executable, str(BENCH / "compare_torchvision.py"), "--rounds=2", "--ours",
                               command(ours), "--theirs", command(theirs), *options], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def fault(self, **programs):
        """The last line of what a comparison that must fail says."""
        done = self.compare(**programs)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr.strip().splitlines()[-1]


class Tables(Comparison):
    def test_median_and_ratio(self):
        done = self.compare()
        self.assertEqual(done.returncode, 0, done.stderr)
        table = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual([row[1:] for row in table if row[:1] == ["median"]],
                         [["100", "250", "2.50"], ["10.00", "5.00", "0.50"]])
        self.assertEqual(sum(row[:1] == ["round"] for row in table), 4)

    def test_width(self):
        done = self.compare("--compile", "--busy", "--rounds=1", ours=rows(train_step=[99.999], detect=[99.999]),
                            theirs=rows(train_step=[99.999], detect=[99.999]))
        table = done.stdout[done.stdout.index("training step of"):].splitlines()
        self.assertLessEqual(max(map(len, table)), 100)
        self.assertTrue(any(len(line) == 100 for line in table))

    def test_files(self):
        self.compare(f"--json={self.path('j')}", f"--markdown={self.path('m')}")
        document = json.loads(Path(self.path("j")).read_text())
        self.assertEqual(document["machine"]["threads"], 2)
        self.assertEqual(document["subjects"]["nano-fpn"]["rounds"][1]["ours"]["train_step"], [0.1, 0.3, 0.1])
        self.assertIn("| training step of `nano-fpn`, 4 images of 240 x 320 | 100 ms | 250 ms | 2.50 |",
                      Path(self.path("m")).read_text().splitlines())

    def test_several_models(self):
        self.compare("--model", "nano-fpn", "vgg16", f"--markdown={self.path('m')}", "--rounds=1")
        text = Path(self.path("m")).read_text()
        self.assertIn("| detection with `nano-fpn`, 240 x 320 |", text)
        self.assertIn("| detection with `vgg16`, 600 x 800 |", text)
        self.assertEqual(text.count("| what |"), 1)

    def test_versions(self):
        def versions(text):
            return f"print({json.dumps(json.dumps({'what': 'versions', **text}))})\n"
        done = self.compare(ours=versions({"rcnn": "rcnn 1, oneDNN 2"}) + OURS,
                            theirs=versions({"torch": "2.15.0", "oneDNN": "3.13.3"}) + THEIRS)
        self.assertIn("\nours: rcnn 1, oneDNN 2\ntorchvision: torch 2.15.0, oneDNN 3.13.3\n", done.stdout)

    def test_at_least(self):
        self.assertEqual(self.compare("--at-least=2.5", "--detect-at-least=.5").returncode, 0)
        done = self.compare("--at-least=2.5")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.endswith("nano-fpn: detect is 0.50 times as fast as torchvision, expected at least "
                                             "2.5.\n"), done.stderr)


class Commands(unittest.TestCase):
    def test_same_shapes(self):
        with unittest.mock.patch("sys.argv", ["", "--model", "vgg16", "--batch=3", "--compile", "--python=P"]):
            options = compare_torchvision.parse_options()
        ours, *theirs = [program.command for program in compare_torchvision.programs("vgg16", options)]
        self.assertEqual(os.path.abspath(ours[0]), str(BENCH.parent / "build" / "rcnn"))
        self.assertEqual(ours[1:3], ["bench", "model"])
        shapes = [f"--{key}={value}" for key, value in (("batch", 3), ("height", 480), ("width", 640),
                                                        ("detect-height", 600), ("detect-width", 800))]
        for command_words in (ours, *theirs):
            self.assertLessEqual(set(shapes), set(command_words))
        self.assertEqual([[words[0], os.path.abspath(words[1])] for words in theirs],
                         [["P", str(BENCH / "torchvision_models.py")]] * 3)
        self.assertEqual([words[-1] for words in theirs[1:]], ["--compile=parts", "--compile=model"])


class Order(Comparison):
    def log(self, name):
        """Code that appends a name to a file."""
        return f"open({self.path('log')!r}, 'a').write({name!r})\n"

    def test_in_turn(self):
        self.compare("--compile=parts", "--busy", ours=self.log("a") + OURS,
                     theirs=self.log("b") + THEIRS)
        self.assertEqual(Path(self.path("log")).read_text(), "abb" * 4)

    def test_busy_only_in_its_own_rounds(self):
        # The busy process is the only other child of the script.
        count = ("import os\n"
                 "script = os.getppid()\n"
                 "children = open(f'/proc/{script}/task/{script}/children').read().split()\n"
                 f"open({self.path('log')!r}, 'a').write(str(len(children)))\n")
        self.compare("--busy", ours=count + OURS, theirs=THEIRS)
        self.assertEqual(Path(self.path("log")).read_text(), "1212")

    def test_factor(self):
        # The first run and every second one after it is alone; the others take three times as long.
        ours = (f"log = {self.path('log')!r}\nimport os\n" + self.log("x") +
                "slow = os.path.getsize(log) % 2 == 0\n"
                "import json\n"
                "for what in ('train_step', 'detect'):\n"
                "  print(json.dumps({'what': what, 'seconds': [.3 if slow else .1]}))\n")
        done = self.compare("--busy", ours=ours)
        self.assertIn("  factor against alone        3.00           1.00\n", done.stdout)


class Busy(unittest.TestCase):
    def test_killed(self):
        with rounds.busy_process() as process:
            self.assertTrue(alive(process.pid))
        self.assertFalse(alive(process.pid))

    def test_killed_after_an_error(self):
        with self.assertRaises(KeyboardInterrupt):
            with rounds.busy_process() as process:
                raise KeyboardInterrupt
        self.assertFalse(alive(process.pid))

    def test_ends_with_a_script_that_is_killed(self):
        code = (f"import os, sys\nsys.path.insert(0, {str(BENCH)!r})\nimport rounds\n"
                "with rounds.busy_process() as process:\n"
                "  print(process.pid, flush=True)\n"
                "  os.kill(os.getpid(), 9)\n")
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        self.assertTrue(gone(int(done.stdout)))


class Faults(Comparison):
    def test_optional_program(self):
        theirs = ("import sys\n"
                  "if '--compile=parts' in sys.argv:\n"
                  + "".join("  " + line + "\n" for line in rows(train_step="No loop unrolled.", detect=[0.02])
                            .splitlines())
                  + "elif '--compile=model' in sys.argv: sys.exit(3)\n"
                  "else:\n" + "".join("  " + line + "\n" for line in THEIRS.splitlines()))
        done = self.compare("--compile", f"--markdown={self.path('m')}", theirs=theirs)
        self.assertEqual(done.returncode, 0, done.stderr)
        medians = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("median")]
        self.assertEqual(medians, [["100", "250", "2.50", "-", "-", "-", "-"],
                                   ["10.00", "5.00", "0.50", "20.0", "2.00", "-", "-"]])
        self.assertIn("\ncompiled parts: No loop unrolled.\n", done.stdout)
        self.assertIn("exited with 3; expected 0.\n", done.stdout)
        self.assertIn("- compiled parts, training step of `nano-fpn`, 4 images of 240 x 320: No loop unrolled.\n",
                      Path(self.path("m")).read_text())

    def test_time_limit(self):
        log = self.path("pid")
        sleep = ("import os, sys, time, subprocess\n"
                 "if '--compile=parts' in sys.argv:\n"
                 "  child = subprocess.Popen(['sleep', '60'])\n"
                 f"  open({log!r}, 'w').write(str(child.pid))\n"
                 "  time.sleep(60)\n")
        done = self.compare("--compile=parts", "--compile-limit=1", "--rounds=1", theirs=sleep + THEIRS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("did not end within 1 s.\n", done.stdout)
        self.assertTrue(gone(int(Path(log).read_text())))

    def test_required_programs(self):
        self.assertTrue(self.fault(theirs="raise SystemExit(7)").endswith("exited with 7; expected 0."))
        self.assertIn("printed no times of detect; expected a line with them.",
                      self.fault(ours=rows(train_step=[1.0])))
        self.assertIn("printed no times of train_step", self.fault(ours=rows(train_step="why", detect=[1.0])))
        self.assertIn("printed a line that is not JSON", self.fault(ours="print('{what')"))

    def test_interpreter(self):
        for script, modules in (("compare_torchvision", "torch, torchvision"),
                                ("compare_openvino", "torch, torchvision, openvino"), ("conv_table", "torch")):
            done = subprocess.run([sys.executable, str(BENCH / f"{script}.py"), "--python=/no/python"],
                                  stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, "--python /no/python cannot be run: No such file or directory; expected an "
                                          f"interpreter that has {modules}.\n")


class Convolutions(unittest.TestCase):
    X, W, Y = [4, 120, 160, 16], [32, 3, 3, 16], [4, 60, 80, 32]

    def test_shapes(self):
        for op, inputs, output in (("conv2d", [self.X, self.W], self.Y), ("conv2d_dx", [self.Y, self.W], self.X),
                                   ("conv2d_dw", [self.X, self.Y], self.W)):
            row = {"op": op, "inputs": inputs, "outputs": [output]}
            self.assertEqual(conv_table.shape_text(row), "4 x 120 x 160, 16 -> 32, 3 x 3 / 2")
            self.assertAlmostEqual(conv_table.gflop(row), 2e-9 * 4 * 60 * 80 * 32 * 9 * 16)

    def test_table(self):
        figures = {("conv2d", "s", "onednn"): 120.4, ("conv2d", "s", "torch"): 99.6, ("conv2d_dx", "t", "onednn"): 1}
        lines = conv_table.table("conv2d", figures, {"s": 1.5, "t": 2}, ["onednn", "winograd_f4", "torch"])
        self.assertEqual(lines[2:], ["| input, channels, filter | GFLOP | onednn | winograd_f4 | torch |",
                                     "| --- | --- | --- | --- | --- |", "| s | 1.50 | 120 | - | 100 |", ""])


if __name__ == "__main__":
    unittest.main()
