"""Tests of tools/find_cuda.sh, on made-up folders. Run by tests/tools/test_scripts.cpp."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "find_cuda.sh"


class Find(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()
        self.packages = self.root / "site-packages"
        self.program("bin/python3", f"echo {self.packages}; echo {self.root}/none")

    def program(self, name, text):
        self.files(name)
        (self.root / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.root / name).chmod(0o755)

    def files(self, *names):
        for name in names:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).touch()

    def nvcc(self, home, release):
        self.program(f"{home}/bin/nvcc", f"echo 'Cuda compilation tools, release {release}, V{release}.48'")

    def find(self, home):
        """{variable: value} that the script prints for the toolkit in `home`."""
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "CUDA_HOME": str(self.root / home)}
        done = subprocess.run(["sh", str(SCRIPT)], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return dict(line.split(" :=", 1) for line in done.stdout.replace(f"{self.root}/", "").splitlines())

    def test_toolkit_with_libraries_among_the_packages(self):
        self.nvcc("cuda", "13.0")
        self.files("cuda/include/cuda.h", "cuda/lib64/libcudart_static.a",
                   "site-packages/nvidia/cudnn/include/cudnn.h", "site-packages/nvidia/cudnn/lib/libcudnn.so.9",
                   "site-packages/nvidia/cu13/include/cublas_v2.h", "site-packages/nvidia/cu13/lib/libcublas.so.13",
                   "site-packages/nvidia/nccl/include/nccl.h", "site-packages/nvidia/nccl/lib/libnccl.so.2")
        found = self.find("cuda")
        self.assertEqual(found, {
            "NVCC": " cuda/bin/nvcc",
            "CUDA_INCLUDE": " -isystem cuda/include -isystem site-packages/nvidia/cudnn/include "
                            "-isystem site-packages/nvidia/cu13/include -isystem site-packages/nvidia/nccl/include",
            "CUDART": " cuda/lib64/libcudart_static.a -lrt -ldl",
            "CUDNN": " site-packages/nvidia/cudnn/lib/libcudnn.so.9",
            "CUBLAS": " site-packages/nvidia/cu13/lib/libcublas.so.13",
            "NCCL_FILE": " site-packages/nvidia/nccl/lib/libnccl.so.2"})

    def test_libraries_beside_nvcc_come_first(self):
        self.nvcc("cuda", "13.0")
        for home in ("cuda", "site-packages/nvidia/cu13"):
            self.files(f"{home}/include/cublas_v2.h", f"{home}/lib64/libcublas.so", f"{home}/lib64/libcublas.so.13")
        found = self.find("cuda")
        self.assertEqual(found["CUBLAS"], " cuda/lib64/libcublas.so")
        self.assertEqual(found["CUDA_INCLUDE"], " -isystem cuda/include")

    def test_packages_of_cuda_12(self):
        nvidia = "site-packages/nvidia"
        self.nvcc(f"{nvidia}/cuda_nvcc", "12.4")
        self.files(f"{nvidia}/cuda_runtime/include/cuda_runtime_api.h", f"{nvidia}/cuda_runtime/lib/libcudart.so.12",
                   f"{nvidia}/cublas/include/cublas_v2.h", f"{nvidia}/cublas/lib/libcublas.so.12",
                   f"{nvidia}/cudnn/include/cudnn.h", f"{nvidia}/cudnn/lib/libcudnn.so.9")
        found = self.find(f"{nvidia}/cuda_nvcc")
        self.assertEqual(found["CUBLAS"], f" {nvidia}/cublas/lib/libcublas.so.12")
        self.assertEqual(found["CUDNN"], f" {nvidia}/cudnn/lib/libcudnn.so.9")
        self.assertIn(f"-isystem {nvidia}/cuda_runtime/include", found["CUDA_INCLUDE"])
        # There is no static library, so the program has to find the shared one when it starts.
        self.assertEqual(found["CUDART"], f" {nvidia}/cuda_runtime/lib/libcudart.so.12 "
                                          f"-Wl,-rpath,{self.root}/{nvidia}/cuda_runtime/lib".replace(f"{self.root}/", ""))

    def test_another_major_version_is_not_taken(self):
        self.nvcc("cuda", "12.8")
        self.files("site-packages/nvidia/cu13/include/cublas_v2.h", "site-packages/nvidia/cu13/lib/libcublas.so.13")
        self.assertNotIn("CUBLAS", self.find("cuda"))

    @unittest.skipIf(list(Path("/usr/lib").glob("*-linux-gnu/libcublas.so*")), "cuBLAS is installed in the system")
    def test_a_header_without_its_library_is_nothing(self):
        self.nvcc("cuda", "13.0")
        self.files("cuda/include/cublas_v2.h", "site-packages/nvidia/cu13/lib/libcublas.so.13")
        self.assertNotIn("CUBLAS", self.find("cuda"))


if __name__ == "__main__":
    unittest.main()
