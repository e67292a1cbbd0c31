"""Tests of tools/sass_report.py, on text in the form that cuobjdump prints. Run by tests/tools/test_sass_report.cpp."""

import dataclasses
import fnmatch
import json
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import sass_report  # noqa: E402
from sass import explain, kernels  # noqa: E402


def mangled(source, rest):
    """The name of a kernel in the anonymous namespace of a source file."""
    namespace = f"_GLOBAL__N__0badcafe_{len(source) + 3}_{source}_cu_0badcafe"
    return f"_ZN4rcnn7kernels3mma{len(namespace)}{namespace}{rest}"


CONV = mangled("conv2d_implicit_gemm_mma", "17conv2d_mma_kernelINS1_4Bf16ENS1_4TileILi128ELi128ELi2EEEEEvi")
SGD = mangled("sgd_cuda", "10sgd_kernelEi")

# The loop from 0x20 to 0x50 has the HMMA; the one from 0x20 to 0x70 encloses it.
LOOP = ["LDC R1, c[0x0][0x28]", "MOV R2, R3", "LDSM.16.M88.4 R4, [R40+0x800]", "@P0 IMAD.MOV.U32 R8, RZ, RZ, R4",
        "HMMA.16816.F32.BF16 R12, R4, R8, R12", "@!P1 BRA 0x20", "LDGSTS.E.BYPASS.128 [R50], desc[UR4][R6.64], P0",
        "@P2 BRA 0x20", "@!PT LDS RZ, [RZ]", "EXIT", "BRA 0xa0"]


def listing(name, code, architecture="90a", registers=232, shared=1024, threads=128):
    """What cuobjdump prints for a kernel."""
    lines = [f".nv.info.{name}", "\t<0x1>", "\tAttribute:\tEIATTR_MAX_THREADS", "\tFormat:\tEIFMT_SVAL",
             f"\tValue:\t0x{threads:x} 0x1 0x1 ", "\tAttribute:\tEIATTR_PARAM_CBANK", "\tValue:\t0x10 0x1 0x1 ", "",
             "Resource usage:", " Common:", "  GLOBAL:0", f" Function {name}:",
             f"  REG:{registers} STACK:0 SHARED:{shared} LOCAL:0 CONSTANT[0]:672 TEXTURE:0 SURFACE:0 SAMPLER:0", "",
             f"\tcode for sm_{architecture}", f"\t\tFunction : {name}"]
    for i, instruction in enumerate(code):
        lines += [f"        /*{16 * i:04x}*/  {instruction:>50} ;       /* 0x00000a00ff017b82 */",
                  "                                                /* 0x000ff00000000800 */"]
    return "\n".join(lines) + "\n"


def kernels_of(text):
    found = kernels.read_kernels(Path("rcnn"), text)
    kernels.demangle(found)
    return found


class Reading(unittest.TestCase):
    def setUp(self):
        self.kernel, = kernels_of(listing(CONV, LOOP))

    def test_names(self):
        self.assertEqual((self.kernel.file, self.kernel.name, self.kernel.architecture),
                         ("conv2d_implicit_gemm_mma", "conv2d_mma_kernel<Bf16,Tile<128,128,2>>", "90a"))
        elsewhere, = kernels_of(listing("_ZN4rcnn4copyEi", LOOP))
        self.assertEqual((elsewhere.file, elsewhere.name), ("rcnn", "copy"))

    def test_resources(self):
        self.assertEqual((self.kernel.registers, self.kernel.shared, self.kernel.threads), (232, 1024, 128))
        self.assertEqual(self.kernel.local(), 0)

    def test_hot_loop(self):
        loop = self.kernel.loop
        self.assertEqual(loop.size(), 4)
        self.assertEqual(loop.count("HMMA"), 1)
        self.assertEqual(loop.count(*kernels.MOVES), 1)
        self.assertEqual(loop.each(), 4)
        self.assertEqual(loop.count("LDGSTS"), 0)

    def test_moves(self):
        code = ["MOV R1, R2", "IMAD.MOV.U32 R1, RZ, RZ, R2", "UMOV UR1, UR2", "IMAD.MOV R1, RZ, RZ, -R2",
                "MOVM.16 R1, R2", "HMMA.1688.F32.TF32 R0, R4, R8, R0", "@P0 BRA 0x0"]
        self.assertEqual(kernels_of(listing(CONV, code))[0].loop.count(*kernels.MOVES), 3)

    def test_loop_with_more_multiplications_is_hotter_than_a_shorter_one(self):
        hmma = "HMMA.1688.F32.TF32 R0, R4, R8, R0"
        code = [hmma, "BRA 0x0", "FFMA R1, R2, R3, R1", hmma, hmma, "@P0 BRA 0x20"]
        self.assertEqual(kernels_of(listing(CONV, code))[0].loop.size(), 4)

    def test_no_loop(self):
        forward_only = ["FFMA R1, R2, R3, R1", "BRA 0x30", "IADD3 R1, R1, R2, RZ", "EXIT"]
        self.assertIsNone(kernels_of(listing(CONV, forward_only))[0].loop)
        integers = ["IADD3 R1, R1, R2, RZ", "@P0 BRA 0x0"]
        self.assertIsNone(kernels_of(listing(CONV, integers))[0].loop)

    def test_architectures(self):
        found = kernels_of(listing(SGD, LOOP, "80", registers=40) + listing(SGD, LOOP[:2], "90a", registers=32))
        self.assertEqual([(k.architecture, k.registers, len(k.code)) for k in found], [("80", 40, 10), ("90a", 32, 2)])


class Figures(unittest.TestCase):
    def blocks(self, **what):
        return kernels_of(listing(SGD, LOOP, **what))[0].blocks()

    def test_occupancy(self):
        # Registers: 8 for each of 128 threads more than 65536 / 2 blocks leaves room for one block.
        self.assertEqual(self.blocks(registers=255), 2)
        self.assertEqual(self.blocks(registers=168), 3)
        self.assertEqual(self.blocks(registers=169), 2)
        self.assertEqual(self.blocks(registers=32), 16)               # 64 warps
        self.assertEqual(self.blocks(registers=16, threads=32), 32)   # 32 blocks
        self.assertEqual(self.blocks(registers=32, shared=57 * 1024), 4)
        self.assertEqual(self.blocks(registers=32, shared=57 * 1024 + 1), 3)
        self.assertIsNone(self.blocks(threads=0))

    def test_dynamic_shared_memory(self):
        def dynamic(name):
            return kernels.Kernel("", name).dynamic_shared()
        ring = 3 * 256 * 128
        self.assertEqual(dynamic("conv2d_mma_kernel<Bf16,Tile<128,64,3>>"), ring * 3 // 4 + 128 * 16)
        self.assertEqual(dynamic("conv2d_dw_mma_kernel<Bf16,Tile<128,128,2>>"), ring + 3 * 64 * 16)
        self.assertEqual(dynamic("conv2d_dw_mma_kernel<Tf32,Tile<64,64,4>>"), ring // 2 + 3 * 32 * 16)
        self.assertEqual(dynamic("matmul_mma_kernel<Tf32,0,1,Tile<128,128,2>>"), ring)
        self.assertEqual(dynamic("sgd_kernel"), 0)

    def test_shared_memory_of_a_launch(self):
        def dynamic(declared, launched, architecture="90a"):
            return kernels.Kernel("", "k", architecture=architecture, shared=declared,
                                  launched_shared=launched).dynamic_shared()
        self.assertEqual(dynamic(1024, 5000), 5000)  # 1 KiB is the system's
        self.assertEqual(dynamic(3024, 5000), 3000)
        self.assertEqual(dynamic(3024, 2000), 0)
        self.assertEqual(dynamic(2000, 5000, "75"), 3000)

    def test_estimates(self):
        code = ["LDSM.16.M88.4 R4, [R40]", "LDS R4, [R40]", "LDS.128 R4, [R40]",
                "LDGSTS.E.BYPASS.128 [R50], desc[R6.64]", "IADD3 R1, R1, R2, RZ",
                "FSETP.GEU.AND P0, PT, |R0|, +INF, PT", "HMMA.16816.F32.BF16 R12, R4, R8, R12", "@P0 BRA 0x0"]
        kernel, = kernels_of(listing(SGD, code, threads=256))
        self.assertEqual({name: round(clocks, 3) for name, clocks in kernel.estimates().items()},
                         {"issue": 16, "integer": 8, "tensor": 12.8, "shared": 26 + 78, "cache": 170.667})
        self.assertEqual(sass_report.figures_of(kernel)["estimate"], "cache 171")
        self.assertEqual(kernels_of(listing(SGD, code, threads=0))[0].estimates(), {})


class Explaining(unittest.TestCase):
    def test_cards(self):
        cards = {card.name: card for card in explain.read_cards()}
        self.assertEqual(list(cards), ["H100", "H200", "A100", "L4", "4090"])
        self.assertEqual(dataclasses.astuple(cards["A100"]), ("A100", 80, 164, 64, 32))

    def test_occupancy_and_what_limits_it(self):
        h100 = kernels.Card("H100", 90, 228, 64, 32)
        ada = kernels.Card("4090", 89, 100, 48, 24)
        def fits(card, **what):
            return kernels_of(listing(SGD, LOOP, **what))[0].occupancy(card)
        self.assertEqual(fits(h100, registers=168), (3, "registers"))
        self.assertEqual(fits(h100, registers=16), (16, "warps"))
        self.assertEqual(fits(ada, registers=16), (12, "warps"))
        self.assertEqual(fits(h100, registers=16, shared=57 * 1024), (4, "shared memory"))
        self.assertEqual(fits(ada, registers=16, shared=57 * 1024), (1, "shared memory"))
        self.assertEqual(fits(ada, registers=16, threads=32), (24, "the number of blocks"))
        self.assertIsNone(fits(h100, threads=0))

    def test_mix(self):
        code = ["LDSM.16.M88.4 R4, [R40]", "HMMA.16816.F32.BF16 R12, R4, R8, R12", "HMMA.16816.F32.BF16 R1, R4, R8, R1",
                "LDGSTS.E.BYPASS.128 [R50], desc[R6.64]", "LDG.E R1, desc[R6.64]", "IMAD.MOV.U32 R8, RZ, RZ, R4",
                "IMAD R8, R1, R2, R4", "IADD3 R1, R1, R2, RZ", "BAR.SYNC.DEFER_BLOCKING 0x0", "@P0 BRA 0x0"]
        kernel, = kernels_of(listing(CONV, code))
        self.assertEqual(explain.mix_of(kernel.loop),
                         {"tensor cores": 2, "integers and addresses": 2, "shared memory": 1, "asynchronous copies": 1,
                          "global memory": 1, "moves": 1, "barriers and waits": 1, "branches": 1})
        self.assertEqual(kernel.loop.loaded_bytes(), 32 * (16 + 4))
        lines = explain.explain(kernel, explain.read_cards())
        self.assertEqual(lines[2], "  H100: 2 blocks on a multiprocessor at a time, 8 of 64 warps, limited by registers")
        self.assertIn("  hot loop: 10 instructions of a warp", lines)
        self.assertIn("         2  20.0 %  tensor cores", lines)
        self.assertIn("  a round requests 2560 bytes of global memory for each block, which are in flight together if "
                      "nothing waits for them in between", lines)


class Limits(unittest.TestCase):
    def faults(self, code, *limit, architecture="90a"):
        return sass_report.find_faults(kernels_of(listing(CONV, code, architecture)),
                                       [("conv2d_*mma:*<Bf16,*", *limit)])

    def test_within(self):
        self.assertEqual(self.faults(LOOP, 4, 1), [])

    def test_beyond(self):
        where = "conv2d_implicit_gemm_mma: conv2d_mma_kernel<Bf16,Tile<128,128,2>> for sm_90a"
        self.assertEqual(self.faults(LOOP, 3.9, 0),
                         [f"{where}: its loop has 4.00 instructions for each HMMA; expected at most 3.9",
                          f"{where}: its loop has 1 moves; expected at most 0"])
        self.assertEqual(self.faults(LOOP[:4] + LOOP[5:], 4, 1), [f"{where} has no loop with HMMA; expected one"])
        self.assertEqual(self.faults(LOOP[:4] + LOOP[5:], 4, 1, architecture="75"), [])
        self.assertEqual(self.faults(LOOP + ["STL [R1], R4", "LDL.64 R4, [R1]"], None, None),
                         [f"{where}: 2 instructions access local memory; expected none, because the kernel is hot"])

    def test_no_kernel(self):
        fault, = sass_report.find_faults(kernels_of(listing(SGD, LOOP)), [("conv2d_*", None, None)])
        self.assertIn("conv2d_* is listed as hot, but matches no kernel", fault)

    def test_lists_agree(self):
        # Each kernel on tensor cores has one entry.
        tiles = ["Tile<128,256,1>>", "Tile<128,128,2>>", "Tile<128,64,3>>", "Tile<64,64,4>>"]
        for element, of_filters in (("Bf16", "Bf16"), ("Tf32", "Tf32Filters")):
            for tile in tiles:
                names = [f"conv2d_implicit_gemm_mma:conv2d_mma_kernel<{of_filters},{tile}",
                         f"conv2d_dw_implicit_gemm_mma:conv2d_dw_mma_kernel<{element},{tile}"]
                names += [f"matmul_mma:matmul_mma_kernel<{element},{a},{b},{tile}" for a in (0, 1) for b in (0, 1)]
                for name in names:
                    with self.subTest(name):
                        entries = [limit for limit in sass_report.LIMITS if fnmatch.fnmatchcase(name, limit[0])]
                        self.assertEqual(len(entries), 1)
                        self.assertIsNotNone(entries[0][1])


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def report(self, *arguments):
        return subprocess.run([sys.executable, str(TOOLS / "sass_report.py"), *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def test_table(self):
        done = self.report(self.file("a", listing(CONV, LOOP) + listing(SGD, LOOP[:1])))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), sass_report.WIDTH)
        self.assertEqual(lines[1:3], ["conv2d_implicit_gemm_mma", "  conv2d_mma_kernel<Bf16,Tile<128,128,2>>"])
        self.assertEqual(lines[3].split(), ["90a", "232", "101376", "0", "2", "4", "1", "4.00", "1", "shared", "16"])
        self.assertEqual(lines[5].split(), ["sgd_kernel", "90a", "232", "1024", "0", "2", *"-----"])
        self.assertEqual(lines[-1], "2 kernels, 0 of them access local memory")

    def test_explain(self):
        file = self.file("a", listing(CONV, LOOP) + listing(SGD, LOOP[:1]))
        done = self.report(file, "--explain", "sgd_*:*")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[0], "sgd_cuda: sgd_kernel, sm_90a")
        self.assertNotIn("conv2d", done.stdout)
        self.assertIn("no loop with multiplications of floats", done.stdout)
        file = self.file("b", listing(SGD, LOOP, registers=16, threads=0))
        self.assertNotIn("H100", self.report(file, "--explain", "sgd*").stdout)
        self.assertIn("  H100: 4 blocks on a multiprocessor at a time, 64 of 64 warps, limited by warps\n",
                      self.report(file, "--explain", "sgd*", "--threads", "512").stdout)
        done = self.report(file, "--explain", "sgd*@256", "sgd*@1024+116736")
        self.assertIn("at most 256 threads", done.stdout)
        self.assertIn("  H100: 1 block on a multiprocessor at a time, 32 of 64 warps, limited by shared memory\n",
                      done.stdout)
        for wrong in ("a", "", "0", "1025", "+5", "5+", "256+232449", "\u0663"):
            self.assertIn("expected PATTERN, PATTERN@THREADS or", self.report(file, "--explain", "sgd*@" + wrong).stderr)
        figures = Path(file).with_name("figures.json")
        done = self.report(file, "--explain", "sgd*@512", "--json", str(figures))
        self.assertEqual(done.returncode, 0, done.stderr)
        found, = json.loads(figures.read_text())["kernels"]
        self.assertEqual((found["kernel"], found["registers"], found["threads"]), ("sgd_cuda:sgd_kernel", 16, 512))
        self.assertEqual(found["blocks"]["H100"], {"count": 4, "limit": "warps"})
        loop = found["loop"]
        self.assertEqual(loop, {"instructions": 4, "tensor cores": 1, "shared memory": 1, "moves": 1, "branches": 1})
        self.assertEqual(self.report(file, "--explain", "sgd*@512", "--json", str(figures)).returncode, 0)  # again
        figures.write_text('{"info": "of somebody"}')
        self.assertIn("that this program has not written", self.report(file, "--explain", "sgd*", "--json", str(figures)).stderr)
        self.assertEqual(figures.read_text(), '{"info": "of somebody"}')
        self.assertIn("expected a name that ends with .json", self.report(file, "--explain", "sgd*", "--json", file).stderr)
        self.assertIn("it cannot be written", self.report(file, "--explain", "sgd*", "--json", "/no/folder/a.json").stderr)
        figures.unlink()
        self.assertIn("--json goes with --explain", self.report(file, "--json", str(figures)).stderr)
        self.report(file, "--explain", "none", "--json", str(figures))
        self.assertFalse(figures.exists())
        done = self.report(file, "--explain", "none", "sgd*@256")
        self.assertEqual(done.returncode, 1)
        self.assertIn("at most 256 threads", done.stdout)
        done = self.report(file, "--explain", "none")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--explain none: no kernel FILE:KERNEL matches", done.stderr)

    def test_differences(self):
        before = self.file("a", listing(CONV, LOOP) + listing(SGD, LOOP[:2]))
        after = self.file("b", listing(CONV, LOOP[:3] + LOOP[4:5] + ["BRA 0x20"], registers=214))
        done = self.report(after, "--before", before)
        self.assertIn("\nconv2d_implicit_gemm_mma: conv2d_mma_kernel<Bf16,Tile<128,128,2>>, 90a\n"
                      "    regs 232 -> 214, loop 4 -> 3, each 4.00 -> 3.00, moves 1 -> 0\n", done.stdout)
        self.assertIn("\nsgd_cuda: sgd_kernel, 90a\n    only in the other build\n", done.stdout)
        self.assertTrue(self.report(before, "--before", before).stdout.endswith(
            "\ndifferences from the other build\n2 kernels, 0 of them access local memory\n"))

    def test_check(self):
        path = self.file("a", listing(CONV, LOOP))
        self.assertEqual(self.report(path).returncode, 0)
        done = self.report(path, "--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("sgd_*:sgd_kernel* is listed as hot, but matches no kernel", done.stderr)

    def test_no_file(self):
        done = self.report("nowhere")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nowhere: expected a file, and there is none", done.stderr)

    def test_nothing_found(self):
        done = self.report(self.file("a", "no code"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("no kernel was found", done.stderr)

    def test_without_cuobjdump(self):
        path = self.folder / "a"
        path.write_bytes(b"\x7fELF")
        missing = unittest.mock.patch.object(kernels, "find_cuobjdump", lambda: None)
        with missing, self.assertRaises(SystemExit) as stop:
            kernels.read_file(path)
        self.assertIn("cuobjdump was not found", str(stop.exception))


if __name__ == "__main__":
    unittest.main()
