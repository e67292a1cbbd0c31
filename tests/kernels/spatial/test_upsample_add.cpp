#include "kernels/spatial/upsample_add_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("upsample_add: every variant agrees with the reference in double") {
  verify(upsample_add, upsample_add_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_upsample_add<decltype(zero)>(c, fill); });
}

TEST_CASE("upsample_add_backward: every variant agrees with the reference in double") {
  verify(upsample_add_backward, upsample_add_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_upsample_add_backward<decltype(zero)>(c, fill);
  });
}

}  // namespace rcnn::kernels
