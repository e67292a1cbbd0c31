#include "kernels/spatial/upsample_add_cases.h"
#include "layers/upsample_add.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("upsample_add: gradients agree with central differences") {
  for (const auto& c : kernels::upsample_add_cases()) {
    if (c.n == 0) continue;
    const Var lateral = random_leaf({c.n, c.h, c.w, c.c}, 1), top = random_leaf({c.n, c.th, c.tw, c.c}, 2);
    gradcheck([&](Context& ctx) { return upsample_add(ctx, lateral, top); }, {lateral, top});
  }
}

}  // namespace rcnn
