// The scripts in tools/. Their tests are in Python.
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
