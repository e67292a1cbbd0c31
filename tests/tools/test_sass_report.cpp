// The report on the kernels' machine code. Its tests are in Python.
#include "tests/program.h"

using namespace rcnn::fixtures;

TEST_CASE("sass_report: loops, limits and differences of recorded machine code") {
  if (run_program("/usr/bin/env", {"python3", "--version"}).status != 0) {
    MESSAGE("skipped: there is no python3");
    return;
  }
  const Finished finished = run_program("/usr/bin/env", {"python3", "-B", "tests/tools/test_sass_report.py"});
  CHECK_MESSAGE(finished.status == 0, finished.err);
}
