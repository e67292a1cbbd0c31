// The scripts that compare this program with others: their tests are in Python.
#include "tests/program.h"

using namespace rcnn::fixtures;

TEST_CASE("bench: the scripts that time programs in turn") {
  if (run_program("/usr/bin/env", {"python3", "--version"}).status != 0) {
    MESSAGE("skipped: there is no python3");
    return;
  }
  const Finished finished = run_program("/usr/bin/env", {"python3", "-B", "tests/bench/test_comparisons.py"});
  CHECK_MESSAGE(finished.status == 0, finished.err);
}
