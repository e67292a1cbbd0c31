"""Tests of tools/ladders.py, and of the documents it writes. Run by tests/tools/test_scripts.cpp."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BEGIN, END = "<!-- ladder nms 3: direct tiled -->\n", "<!-- end of the ladder -->\n"
ROW = {"op": "nms", "case": 3, "inputs": [[2, 3], [4]], "outputs": [[5]], "flop": 0, "bytes": 2e6, "requests": 1200,
       "sectors": 300, "min_sectors": 200, "turns": 0, "min_turns": 0, "lanes": 0.5, "read_bytes": 6e6,
       "read_by_blocks": 30, "bound_ms": 0.5, "limit": "memory"}


class Ladders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("kernels/boxes/nms.h", '    {"direct", on_cuda, f},\n    {"tiled", on_cuda.with(1), f},\n')
        self.counts([{**ROW, "variant": "direct"}, {**ROW, "variant": "tiled", "flop": 3e6, "turns": 3, "min_turns": 2}])
        self.write("docs/ladders/nms.md", "# NMS\n\n" + BEGIN + "old\n" + END + "\nMore.\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def counts(self, rows):
        self.write("bench/counts/nms.json", json.dumps({"card": "H100", "variants": rows}))

    def run_it(self, *arguments):
        return subprocess.run([sys.executable, "-B", str(ROOT / "tools/ladders.py"), "--root", str(self.root), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def document(self):
        return (self.root / "docs/ladders/nms.md").read_text()

    def test_table(self):
        before = self.document()
        self.assertEqual(self.run_it("--check").returncode, 1)
        self.assertEqual(self.document(), before)
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        text = self.document()
        self.assertTrue(text.startswith("# NMS\n\n" + BEGIN + "| rung |"))
        self.assertTrue(text.endswith(END + "\nMore.\n"))
        self.assertIn("\n| `direct` | 1,200 | 1.50 | - | 50 % | 3 | not below 0.5 ms, memory | - |\n"
                      "| `tiled` | 1,200 | 1.50 | 1.50 | 50 % | 3 | 6 GFLOP/s, memory | - |\n", text)
        self.assertIn("\nCase 3 of `nms`: 2x3, 4 to 5.\nNo GPU has measured it yet", text)
        self.assertEqual(self.run_it("--check").returncode, 0)

    def test_times_of_cpus(self):
        begin, end = "<!-- times nms 3: direct tiled -->\n", "<!-- end of the times -->\n"
        self.write("docs/ladders/nms.md", "# NMS\n\n" + BEGIN + END + "\n" + begin + "old\n" + end + "More.\n")
        self.assertIn("bench/results has no time on a CPU of nms=direct in case 3", self.run_it().stderr)
        row = {"op": "nms", "case": 3, "inputs": [[2, 3], [4]], "outputs": [[5]], "flop": 2e6, "gflops": 4, "roof": 0.5,
               "ms": 0.5, "p10_ms": 0.25, "p90_ms": 1}
        run = {"device": "cpu", "machine": "Chip", "threads": 2, "toolchain": "GCC 12", "commit": "abc", "gpu": None,
               "date": "2026-12-01T01:02:03Z", "version": "rcnn abc, AVX2 kernels, 2 threads"}
        rows = [{**row, "variant": "direct"}, {**row, "variant": "tiled", "ms": 0.375}]
        self.write("bench/results/a.json", json.dumps({**run, "ops": rows}))
        # Numbers of cases of a captured step are not those of the op's table.
        self.write("bench/results/b.json", json.dumps({**run, "step": {"ms": 1}, "ops": [{**row, "variant": "x"}]}))
        self.assertEqual(self.run_it().returncode, 0)
        self.assertTrue(self.document().endswith(begin + """| rung | ms | p10 to p90 | GFLOP/s | of the roof |
| --- | ---: | ---: | ---: | ---: |
| `direct` | 0.5 | 0.25 to 1 | 4.0 | 50 % |
| `tiled` | 0.375 | 0.25 to 1 | 4.0 | 50 % |

Case 3 of `nms`: 2x3, 4 to 5.
Measured on Chip (AVX2), 2 threads, with GCC 12, commit abc, 2026-12-01.
""" + end + "More.\n"), self.document())
        self.assertIn("No GPU has measured it yet", self.document())
        self.assertEqual(self.run_it("--check").returncode, 0)
        self.write("bench/results/a.json", json.dumps({**run, "ops": rows[:1]}))
        self.assertIn("no time on a CPU of nms=tiled", self.run_it().stderr)

    def test_machine_code(self):
        begin, end = ("<!-- machine code H100:\ndirect nms_cuda:direct_kernel<4, 2>\n-->\n",
                      "<!-- end of the machine code -->\n")
        self.write("docs/ladders/nms.md", "# NMS\n\n" + BEGIN + END + "\n" + begin + "old\n" + end + "More.\n")
        self.assertIn("direct nms_cuda:direct_kernel<4, 2>: expected a row of a table", self.run_it().stderr)
        kernel = {"kernel": "nms_cuda:direct_kernel<4, 2>", "registers": 30, "blocks": {"H100": {"count": 8, "limit": "warps"}}}
        loop = {"instructions": 50, "float arithmetic": 20, "global memory": 2, "asynchronous copies": 3, "moves": 1}
        self.write("bench/machine_code/a.json", json.dumps({"kernels": [
            {**kernel, "kernel": "nms_cuda:other_kernel"}, {**kernel, "loop": loop}]}))
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.document().endswith(
            "| `direct` | `direct_kernel<4, 2>` | 30 | 8, warps | 50 | 20 | - | 5 | - |\n" + end + "More.\n"), self.document())
        self.assertEqual(self.run_it("--check").returncode, 0)
        loop = {"instructions": 50, "tensor cores": 16, "float arithmetic": 20, "shared memory": 7, "integers and addresses": 9}
        self.write("bench/machine_code/a.json", json.dumps({"kernels": [{**kernel, "loop": loop}]}))
        self.assertEqual(self.run_it("--check").returncode, 1)
        self.run_it()
        self.assertIn("| 50 | 16 on tensor cores | 7 | - | 9 |\n", self.document())
        self.write("docs/ladders/nms.md", "# NMS\n\n" + BEGIN + END + begin.replace("H100", "L4") + end)
        self.refused("that bench/machine_code has for L4")
        self.write("docs/ladders/nms.md", "# NMS\n\n" + BEGIN + END + begin)
        self.refused("in pairs")

    def test_files_of_other_forms(self):
        for name, texts in {"results": ["[]", "null", '{"stages": null}', '{"ops": 5}', '{"device": "cpu"}',
                                        '{"device": "X", "ops": [{"ms": 1}]}'],
                            "counts": ["[]", "{}", '{"card": "H100", "variants": [{}]}'],
                            "machine_code": ["[]", "{}", '{"kernels": [{}]}',
                                             '{"kernels": [{"blocks": {"H100": {}}, "loop": {}}]}']}.items():
            for text in texts:
                path = f"bench/{name}/z.json"
                self.write(path, text)
                done = self.run_it()
                self.assertEqual(done.returncode, 1, text)
                self.assertTrue(done.stderr.startswith(f"{self.root / path}: expected what `rcnn lab "), done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                (self.root / path).unlink()

    def test_times_of_gpus(self):
        row = {"op": "nms", "case": 3, "variant": "tiled", "ms": 0.25}
        self.write("bench/results/a.json", json.dumps({"device": "Card A", "ops": [row]}))
        self.write("bench/results/b.json", json.dumps({"gpu": {"name": "Card B"}, "stages": {"ops": {"found": {
            "ours": [{**row, "ms": 1.5}, {**row, "case": 4}]}}}}))
        for device in ("cpu", "Card C"):  # cases of a captured step
            self.write(f"bench/results/{device}.json", json.dumps({"device": device, "step": {"ms": 1}, "ops": [row]}))
        self.run_it()
        self.assertIn("| 0.25 ms (Card A), 1.5 ms (Card B) |\n", self.document())
        self.assertNotIn("No GPU has measured it", self.document())

    def refused(self, sentence):
        before = self.document()
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn(sentence, done.stderr)
        self.assertEqual(self.document(), before)

    def test_faults(self):
        self.counts([{**ROW, "variant": "direct"}])
        self.refused("bench/counts has no counts of nms=tiled in case 3")
        self.write("kernels/boxes/nms.h", '    {"direct", on_cuda, f},\n')
        self.refused("tiled is no row of a table in kernels/")
        self.write("docs/ladders/nms.md", BEGIN)
        self.refused("in pairs")
        self.write("bench/counts/nms.json", "[]")
        self.refused("expected what `rcnn lab explain --json`")

    def test_documents_of_this_project_are_up_to_date(self):
        done = subprocess.run([sys.executable, "-B", str(ROOT / "tools/ladders.py"), "--check"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
