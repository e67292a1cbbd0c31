"""Tests of what the stages of gpu_first.py make of the output of programs, which stand-ins print here, and of the
tables. Run by tests/tools/test_scripts.cpp."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from gpu import checks, report, runner, speed  # noqa: E402
from gpu.machine import Setup  # noqa: E402
from gpu.runner import Failure  # noqa: E402

GPU = {"name": "NVIDIA H200", "arch": "90a", "driver": "580.1", "memory": "143771 MiB"}

# A stand-in for rcnn_tests with tests of three ops. softmax fails, and the whole of nms does not run.
TESTS = r"""import sys
names = ['softmax: every variant agrees with the reference', 'softmax: a, b', 'nms: ties', 'nms: one', 'clip keeps, a box']
options = dict(word.split('=', 1) for word in sys.argv[1:] if '=' in word)
if '--list-test-cases' in sys.argv:
  print('[doctest] listing all test case names\n' + '=' * 79)
  print(*(names if 'none' not in options['--source-file'] else []), sep='\n')
  print('=' * 79 + '\n[doctest] unskipped test cases passing the current filters: 5')
else:
  op = options['--test-case'].split(',')[0].split(':')[0]
  count = {'softmax': 2, 'nms': 1}.get(op, 1)
  failed = op == 'softmax' and OUTCOME
  if failed: print('tests/x.cpp:3:\nTEST CASE: softmax\n\ntests/x.cpp:9: ERROR: CHECK( a == b ) is NOT correct!\n  values: 1, 2')
  print(f'[doctest] test cases: {count} | {count} passed | 0 failed | 1 skipped\n[doctest] assertions: {count * 10} | 0')
  print(TRAILER)
  sys.exit(1 if failed else 0)
"""


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.setup = Setup("first", dict(GPU), self.folder / "work")

    def program(self, name, code):
        file = self.folder / name
        file.write_text(f"#!{sys.executable}\n{code}")
        file.chmod(0o755)
        return file

    def stage(self, work, *arguments, seconds=20):
        stage = runner.Stage("stage", "", {}, lambda run: work(run, *arguments))
        with contextlib.redirect_stdout(io.StringIO()):
            return runner.run_stage(stage, self.setup, seconds)

    def stand_in(self, outcome, trailer=""):
        self.setup.tests = self.program("tests", TESTS.replace("OUTCOME", str(outcome)).replace("TRAILER", repr(trailer)))


class Tests(Case):
    def test_one_process_for_each_op(self):
        self.stand_in(False)
        entry = self.stage(checks.run_tests, "*kernels*")
        self.assertEqual(entry["faults"], ["nms: 1 of its 2 tests ran"])
        self.assertEqual(entry["found"]["summary"], "3 of 3 ops, 4 tests, 40 assertions")

    def test_a_failed_test_is_quoted(self):
        self.stand_in(True)
        entry = self.stage(checks.run_tests, "*kernels*")
        self.assertEqual(entry["faults"][-1], "softmax: exit status 1: tests/x.cpp:9: ERROR: CHECK( a == b ) is NOT "
                                              "correct! values: 1, 2 [doctest] test cases: 2 | 2 passed | 0 failed | 1 skipped")

    def test_what_a_stopped_test_had_found(self):
        self.setup.tests = self.program("tests", TESTS.replace("OUTCOME", "True").replace("TRAILER", "''").replace(
            "  print(f'[doctest] test cases", "  if op == 'softmax':\n    import time; sys.stdout.flush(); time.sleep(60)\n"
            "  print(f'[doctest] test cases"))
        entry = self.stage(checks.run_tests, "*kernels*", seconds=4)
        self.assertEqual(entry["unfinished"], ["softmax"])
        self.assertIn("softmax, before it was stopped: tests/x.cpp:9: ERROR: CHECK( a == b ) is NOT correct! values: 1, 2",
                      entry["faults"])

    def test_no_tests(self):
        self.stand_in(False)
        entry = self.stage(checks.run_tests, "none")
        self.assertEqual((entry["result"], entry["notes"]), ("skipped", ["this build has no tests in none"]))

    def test_filters(self):
        self.assertEqual(checks.filter_of("nms"), "--test-case=nms,nms:*")
        self.assertEqual(checks.filter_of("clip keeps, a box"), "--test-case=clip keeps? a box,clip keeps? a box:*")
        self.assertEqual(checks.filter_of("nms", checks.VARIANTS),
                         "--test-case=nms: every variant agrees with the reference")


class Sanitizer(Case):
    """compute-sanitizer prints its lines around the output of the program that it starts."""

    def check(self, summary):
        self.stand_in(False, summary)
        sanitizer = self.program("compute-sanitizer", "import os, sys\n"
                                 "if '--help' in sys.argv: print('  --kernel-regex arg'); sys.exit()\n"
                                 "assert sys.argv[1:7] == ['--tool', 'memcheck', '--error-exitcode', '9', "
                                 "'--kernel-regex', 'kns=rcnn'], sys.argv\n"
                                 f"assert os.environ['RCNN_TEST_FILLS'] == '1'\n"
                                 "os.execv(sys.argv[9], sys.argv[9:])\n")
        with unittest.mock.patch("shutil.which", lambda *_, **__: str(sanitizer)):
            return self.stage(checks.memcheck)

    def test_clean(self):
        entry = self.check("========= ERROR SUMMARY: 0 errors")
        self.assertEqual(entry["result"], "passed", entry)
        self.assertEqual(entry["found"]["summary"], "1 of 1 ops, 2 tests, 20 assertions")

    def test_errors(self):
        entry = self.check("========= Invalid __global__ read of size 4 bytes\n========= ERROR SUMMARY: 10 errors")
        self.assertEqual(entry["faults"], ["softmax: memcheck says `ERROR SUMMARY: 10 errors`: Invalid __global__ read of "
                                           "size 4 bytes"])

    def test_silence(self):
        self.assertEqual(self.check("")["faults"], ["softmax: memcheck says `nothing`"])

    def test_a_machine_that_refuses(self):
        entry = self.check("========= Error: Device not supported. Please refer to the documentation")
        self.assertEqual((entry["result"], entry["notes"]),
                         ("skipped", ["compute-sanitizer cannot work on this machine: Device not supported"]))

    def test_missing(self):
        with unittest.mock.patch("shutil.which", lambda *_, **__: None):
            entry = self.stage(checks.memcheck)
        self.assertEqual(entry["notes"], ["compute-sanitizer is neither on the PATH nor beside nvcc"])


class Losses(unittest.TestCase):
    def test_compare(self):
        self.assertEqual(checks.compare_losses([1.0, 2.0], [1.0, 2.0002], 2)[1], [])
        found, faults = checks.compare_losses([1.0, 2.01], [1.0, 2.0], 2)
        self.assertAlmostEqual(found["loss_difference"], 0.005)
        self.assertEqual(faults, ["the loss of step 2 is 2.01 on the GPU and 2.0 on the CPU: 5.0e-03 apart, expected at "
                                  "most 0.001"])
        # A number that is none is stored as null.
        self.assertIn("is None on the GPU", checks.compare_losses([None], [1.0], 1)[1][0])
        self.assertEqual(checks.compare_losses([1.0], [1.0, 2.0], 2)[1], ["there are 1 losses of both, expected 2"])

    def test_demo(self):
        summaries = [{"map50": 0.91, "train_seconds": 9}, {"map50": 0.94, "train_seconds": 90}]
        _, faults = checks.compare_runs([[1.0] * 20, [1.0] * 20], summaries)
        self.assertEqual(faults, ["mAP@.5 is 0.9100 on the GPU and 0.9400 on the CPU; expected at most 0.02 apart"])


class Measurements(Case):
    def test_what_was_timed_before_the_limit_is_kept(self):
        rows = [{"op": "nms", "case": 0, "variant": "v", "precision": "f32", "inputs": [[1, 9, 4], [1, 9]], "outputs": [[1]],
                 "graph": True, "ms": 2.0, "gflops": None, "gbs": 1.0}]
        self.setup.python = "/no/python"
        self.setup.program = self.program("program", "import sys, time\n"
                                          "file = next(word for word in sys.argv if word.startswith('--json='))[7:]\n"
                                          f"open(file, 'w').write({json.dumps(json.dumps({'ops': rows}))})\n"
                                          "time.sleep(60)\n")
        entry = self.stage(speed.ops, seconds=3)
        self.assertEqual(entry["result"], "FAILED")
        self.assertIn("was stopped at the time limit", entry["faults"][0])
        self.assertEqual(entry["found"]["ours"], [{**rows[0], "inputs": "1x9x4 1x9", "outputs": "1"}])
        self.assertEqual(entry["notes"], ["nothing is compared with PyTorch: /no/python has no torch that finds the GPU "
                                          "(No such file or directory)"])

    def test_models(self):
        self.setup.program = self.program("program", "import sys\n"
                                          "assert '--batch=8' in sys.argv and '--model=resnet50-fpn' in sys.argv\n"
                                          "scale = .001 if '--cuda-graph' in sys.argv else .002\n"
                                          "print('cuda:0: card')\n"
                                          "for what in 'train_step', 'detect':\n"
                                          "  print('{\"what\": \"%s\", \"seconds\": [%f, %f, 9]}' % (what, scale, scale))\n")
        entry = self.stage(speed.models)
        self.assertEqual(entry["faults"], [])
        self.assertEqual([(row["what"], row["precision"], row["program"], row["ms"]) for row in entry["found"]["times"]],
                         [(what, precision, program, ms) for precision in ("bf16", "tf32")
                          for program, ms in (("ours", 2.0), ("ours, graph", 1.0)) for what in ("train_step", "detect")])

    def test_a_figure_of_a_program_that_was_stopped(self):
        self.setup.program = self.program("program", "import time\n"
                                          "print('{\"what\": \"train_step\", \"seconds\": [0.002]}', flush=True)\n"
                                          "print('{\"what\": \"det', end='', flush=True)\n"
                                          "time.sleep(60)\n")
        entry = self.stage(speed.models, seconds=4)
        self.assertEqual([(row["what"], row["precision"], row["ms"]) for row in entry["found"]["times"]],
                         [("train_step", precision, 2.0) for precision in ("bf16", "bf16", "tf32", "tf32")])
        self.assertEqual(len(entry["faults"]), 4)

    def test_batch_that_fits(self):
        self.assertEqual([speed.batch_for(gibibytes) for gibibytes in (140, 80, 24, 8)], [8, 8, 2, 1])


NCU = '''==PROF== Connected to process 1
cpu: something
"ID","Process ID","Process Name","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value"
"0","1","rcnn","conv2d_mma_kernel<int>(Args)","GPU Speed Of Light Throughput","Duration","us","150.21"
"0","1","rcnn","conv2d_mma_kernel<int>(Args)","GPU Speed Of Light Throughput","Compute (SM) Throughput","%","61.5"
"0","1","rcnn","conv2d_mma_kernel<int>(Args)","Launch Statistics","","",""
==PROF== Disconnected
'''


class Profile(Case):
    def test_table(self):
        found = speed.ncu_metrics(NCU)
        self.assertEqual(found, {"kernel": "conv2d_mma_kernel<int>(Args)", "Duration": "150.21 us",
                                 "Compute (SM) Throughput": "61.5 %"})

    def test_errors(self):
        with self.assertRaisesRegex(Failure, "ncu printed no table: ==ERROR== ERR_NVGPUCTRPERM"):
            speed.ncu_metrics("==ERROR== ERR_NVGPUCTRPERM\n")
        with self.assertRaisesRegex(Failure, "ncu profiled no kernel"):
            speed.ncu_metrics('"ID","Metric Name"\n')


def op(name, inputs, outputs, precision, ms, variant="ours", **more):
    return {"op": name, "case": 0, "variant": variant, "precision": precision, "inputs": inputs, "outputs": outputs,
            "graph": True, "ms": ms, "gflops": 1000.0 / ms, "gbs": 1.0, **more}


    def test_a_machine_that_refuses(self):
        ncu = self.program("ncu", "print('==ERROR== Failed to initialize the profiler: LibraryNotLoaded')\nraise SystemExit(9)")
        with unittest.mock.patch("shutil.which", lambda *_, **__: str(ncu)):
            entry = self.stage(speed.profile)
        self.assertEqual((entry["result"], entry["notes"]), (
            "skipped", ["ncu cannot work on this machine: Failed to initialize the profiler: LibraryNotLoaded"]))


class Tables(unittest.TestCase):
    X, W = "1x200x336x256", "256x3x3x256"

    def results(self):
        ours = [op("conv2d", f"{self.X} {self.W}", self.X, "bf16", 2.0, cold_ms=4.0),
                op("conv2d", f"{self.X} {self.W}", self.X, "bf16", 1.0, "cudnn"),
                op("conv2d", f"{self.X} {self.W} 256 ...", self.X, "tf32", 5.0),
                op("conv2d_dx", f"1x100x168x512 512x1x1x256", self.X, "bf16", 4.0),
                op("conv2d_dw", f"8x64x64x3 8x32x32x64", "64x7x7x3", "bf16", 4.0),
                op("matmul", "1000x12544 1024x12544 1024 ...", "1000x1024", "bf16", 0.1),
                op("nms", "1x12000x4 1x12000 1x12000", "1x12000 1", "f32", 0.3, cold_ms=0.35)]
        theirs = [{"op": "conv2d", "case": 0, "precision": "bf16", "ms": 3.0, "cold_ms": 3.0}]
        times = [{"model": "resnet50-fpn", "what": "detect", "precision": "bf16", "program": program, "ms": ms, "rounds": 1}
                 for program, ms in (("ours", 5.0), ("ours, graph", 4.0), ("torchvision", 40.0))]
        stages = {name: {"result": "passed", "seconds": 1.0, "limit": 2, "date": "now", "commit": "c", "faults": [],
                         "unfinished": [], "notes": [], "found": found}
                  for name, found in (("ops", {"ours": ours, "theirs": theirs}), ("models", {"times": times}),
                                      ("kernels", {"summary": "x" * 300}))}
        stages["kernels"].update(faults=[f"fault {i} " + "y" * 200 for i in range(20)], clocks=[1980, 1755, 1980])
        return {"gpu": GPU, "cuda": "13.0", "form": "first", "commit": "c", "stages": stages}

    def test_terminal(self):
        text = report.to_text(self.results())
        lines = text.splitlines()
        self.assertLessEqual(max(map(len, lines)), 100)
        # TFLOP/s of ours, and the time of the faster peer divided by ours, under the right heads.
        at = lines.index(next(line for line in lines if line.startswith("shape ")))
        head = lines[at].split()[1:]
        self.assertEqual(head[:6], ["bf16", "fwd", "bf16", "+epi", "bf16", "dx"])
        row = lines[at + 1]
        self.assertTrue(row.startswith("200x336 256>256 3/1"), row)
        self.assertEqual([row[20 + 10 * i:30 + 10 * i].strip() for i in range(8)],
                         ["0.5 0.50", "", "", "", "", "0.2    -", "", ""])
        self.assertTrue(any(line.startswith("200x336 256>512 1/2") for line in lines))
        self.assertTrue(any(line.startswith("8x64x64 3>64 7/2") for line in lines))
        self.assertTrue(any(line.startswith("1000x1024 of 12544") for line in lines))
        cold = next(line for line in lines[at + 2:] if line.startswith("200x336 256>256 3/1"))
        self.assertIn("0.25 0.75", cold)
        self.assertRegex(text, r"resnet50-fpn +detect +bf16 +5 +4 +40 +- +10 +-")
        self.assertIn("... and", text)

    def test_fits_the_end_of_an_output(self):
        self.assertLess(len(report.to_text(self.results())), 6000)

    def test_markdown(self):
        lines = report.to_markdown(self.results()).splitlines()
        self.assertIn("| resnet50-fpn | detect | bf16 | 5 | 4 | 40 | - | 10 | - |", lines)
        self.assertIn("| conv2d | bf16 | cuDNN | 0.5 | 0.5 | 1 |", lines)
        self.assertIn("| nms | 1x12000x4 1x12000 1x12000 -> 1x12000 1 | ours | 0.3 | 0.35 | - | - |", lines)

    def test_json_is_read_back(self):
        results = self.results()
        self.assertEqual(json.loads(report.to_json(results)), results)


if __name__ == "__main__":
    unittest.main()
