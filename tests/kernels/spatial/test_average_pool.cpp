#include "kernels/spatial/average_pool_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("average_pool: every variant agrees with the reference in double") {
  verify(average_pool, average_pool_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_average_pool<decltype(zero)>(c, fill); });
}

TEST_CASE("average_pool_backward: every variant agrees with the reference in double") {
  verify(average_pool_backward, average_pool_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_average_pool_backward<decltype(zero)>(c, fill);
  });
}

}  // namespace rcnn::kernels
