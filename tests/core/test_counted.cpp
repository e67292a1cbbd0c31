#include "core/counted.h"

#include <doctest/doctest.h>

using namespace rcnn;

TEST_CASE("counted: one of a thing, and other numbers of it") {
  CHECK(counted(1, "step") == "1 step");
  CHECK(counted(0, "step") == "0 steps");
  CHECK(counted(12, "step") == "12 steps");
  CHECK(counted(1, "box", "boxes") == "1 box");
  CHECK(counted(2, "box", "boxes") == "2 boxes");
}
