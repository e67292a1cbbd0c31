#include "kernels/elementwise/sum_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

TEST_CASE("weighted_sum: every variant agrees with the reference in double") {
  verify(weighted_sum, weighted_sum_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_weighted_sum<decltype(zero)>(c, fill); });
  verify(weighted_sum_backward, weighted_sum_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_weighted_sum_backward<decltype(zero)>(c, fill);
  });
}

TEST_CASE("weighted_sum: an example worked out by hand") {
  const float a = 3, b = 5, dy = 2;
  float y = 0, da = 1, db = 1;
  Context ctx;
  run(ctx, weighted_sum, WeightedSumArgs<float>{2, {&a, &b}, {2, -0.5}, &y});
  CHECK(y == 3.5f);
  run(ctx, weighted_sum_backward,
      WeightedSumBackwardArgs<float>{2, {2, -0.5}, &dy, {&da, &db}, {Accumulate::no, Accumulate::yes}});
  CHECK(da == 4);
  CHECK(db == 0);
}

}  // namespace rcnn::kernels
