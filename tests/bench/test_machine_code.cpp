#include <doctest/doctest.h>

#include <chrono>

#include "bench/machine_code.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

TEST_CASE("machine code: names are those of the report") {
  CHECK(sass_name("forward_kernel") == "forward_kernel");
  CHECK(sass_name("conv2d_mma_kernel<rcnn::kernels::mma::Bf16, rcnn::kernels::mma::Tile<128, 256, 1> >") ==
        "conv2d_mma_kernel<Bf16,Tile<128,256,1>>");
  CHECK(sass_name("rcnn::kernels::k<(rcnn::Side)1, true, false, -3>") == "k<1,true,false,-3>");
}

TEST_CASE("machine code: the report is asked for what nvcc has compiled, and the rest is named") {
  const TemporaryFolder folder;
  const fs::path root = folder.path();
  for (const char* name : {"kernels/a", "tools", "build/release-cuda/kernels/a"})
    fs::create_directories(root / name);
  const std::string kernel = "__global__ void __launch_bounds__(256)\n    own_kernel(int n) {}\n";
  write_text(root / "kernels/a/one.cu",
             kernel + "template <class T>\n__global__ void second_kernel(T n) {}\n");
  write_text(root / "kernels/a/two.cu", kernel);
  write_text(root / "tools/sass_report.py", "import sys\nprint(*sys.argv[1:], sep='\\n')\n");
  const std::vector<LaunchedKernel> kernels = {
      {"own_kernel", 128, 512, "kernels/a/one.cu"},
      {"second_kernel<rcnn::kernels::mma::Tf32>", 64, 0, "kernels/a/two.cu"},
      {"second_kernel<rcnn::kernels::mma::Tf32>", 64, 0, "kernels/a/two.cu"},
      {"library_kernel", 32, 0, "kernels/a/one.cu"}};
  CHECK(machine_code_text(kernels, {}) == "");
  CHECK(machine_code_text(kernels, root) ==
        "  machine code: nvcc has not compiled kernels/a/one.cu; `make cuda-report CUDA_ARCHS=90a` does (it "
        "needs "
        "no GPU)\n");
  const fs::path object = root / "build/release-cuda/kernels/a/one.cu.o";
  write_text(object, "");
  if (run_program("/usr/bin/env", {"python3", "-c", ""}).status == 0)
    CHECK(machine_code_text(kernels, root) ==
          "  machine code, by nvcc; clocks and shares are estimates:\n    " + object.string() +
              "\n    --explain\n    one:own_kernel@128+512\n    one:second_kernel<Tf32>@64+0\n");
  write_text(root / "tools/sass_report.py", "import sys\nsys.exit('no cuobjdump')\n");
  if (run_program("/usr/bin/env", {"python3", "-c", ""}).status == 0)
    CHECK(machine_code_text(kernels, root) ==
          "  machine code, by nvcc; tools/sass_report.py has not found all of it:\n    no cuobjdump\n");
  fs::last_write_time(object, fs::last_write_time(root / "kernels/a/one.cu") - std::chrono::seconds(1));
  CHECK(machine_code_text(kernels, root) ==
        "  machine code: nvcc has compiled an older form of kernels/a/one.cu; `make cuda-report "
        "CUDA_ARCHS=90a` "
        "does (it needs no GPU)\n");
  // Two files have a kernel of this name, and neither is where it was launched.
  CHECK(machine_code_text({{"own_kernel", 128, 0, "kernels/a/three.cu"}}, root) == "");
}
