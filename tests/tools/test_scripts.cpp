// The scripts in tools/ that find CUDA, and that check and measure a GPU. Their tests are in Python.
#include "tests/program.h"

using namespace rcnn::fixtures;

namespace {

void run_python_tests(const std::string& file) {
  if (run_program("/usr/bin/env", {"python3", "--version"}).status != 0) {
    MESSAGE("skipped: there is no python3");
    return;
  }
  const Finished finished = run_program("/usr/bin/env", {"python3", "-B", "tests/tools/" + file});
  CHECK_MESSAGE(finished.status == 0, finished.err);
}

}  // namespace

TEST_CASE("tools: where CUDA and its libraries are found") { run_python_tests("test_find_cuda.py"); }
TEST_CASE("tools: the stages of gpu_first and gpu_check, and their time limits") {
  run_python_tests("test_gpu_stages.py");
}
TEST_CASE("tools: what the stages make of the output of NVIDIA's tools, and the tables") {
  run_python_tests("test_gpu_results.py");
}
TEST_CASE("tools: the counters of ncu for one launch") { run_python_tests("test_ncu_lab.py"); }
TEST_CASE("tools: the tables of the ladders") { run_python_tests("test_ladders.py"); }
