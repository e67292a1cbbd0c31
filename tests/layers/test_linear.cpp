#include "layers/linear.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("linear: gradients agree with central differences") {
  for (const bool relu : {false, true}) {
    const Var x = random_leaf({5, 7}, 1), w = random_leaf({3, 7}, 2), bias = random_leaf({3}, 3);
    gradcheck([&](Context& ctx) { return linear(ctx, x, w, bias, relu); }, {x, w, bias});
    gradcheck([&](Context& ctx) { return linear(ctx, x, w, {}, relu); }, {x, w});
  }
}

}  // namespace rcnn
