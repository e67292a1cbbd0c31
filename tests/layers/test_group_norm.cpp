#include "layers/group_norm.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("group_norm: gradients agree with central differences") {
  const Var x = random_leaf({2, 3, 2, 6}, 1), residual = random_leaf({2, 3, 2, 6}, 2);
  for (const int64_t groups : {1, 2, 3, 6})
    for (const bool relu : {false, true}) {
      CAPTURE(groups);
      CAPTURE(relu);
      GroupNorm p{random_leaf({6}, 3), random_leaf({6}, 4), groups};
      gradcheck([&](Context& ctx) { return group_norm(ctx, x, p, residual, relu); },
                {x, p.weight, p.bias, residual});
      gradcheck([&](Context& ctx) { return group_norm(ctx, x, p, {}, relu); }, {x, p.weight, p.bias});
    }
}

TEST_CASE("group_norm: the output of an image does not depend on the other images") {
  const GroupNorm p{random_leaf({4}, 3), random_leaf({4}, 4), 2};
  const Tensor x = random_leaf({3, 5, 4}, 1).value();
  Context ctx;
  const Tensor all = group_norm(ctx, x, p).value(), one = group_norm(ctx, x.slice(1, 2), p).value();
  for (int64_t i = 0; i < one.numel(); ++i) CHECK(one.data<double>()[i] == all.data<double>()[20 + i]);
}

TEST_CASE("group_norm: a number of channels that the groups do not divide is an error") {
  const GroupNorm p{random_leaf({6}, 3), random_leaf({6}, 4), 4};
  Context ctx;
  CHECK_THROWS_WITH_AS(group_norm(ctx, random_leaf({2, 6}, 1), p),
                       "group_norm: 6 channels cannot be divided into 4 groups", Error);
}

}  // namespace rcnn
