#include "layers/softmax.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("softmax: each row sums to 1, whatever the shape") {
  const Tensor logits = random_leaf({2, 3, 5}, 1).value();
  Context ctx;
  const Tensor p = softmax(ctx, logits);
  CHECK(p.shape() == logits.shape());
  for (int64_t row = 0; row < 6; ++row) {
    double sum = 0;
    for (int64_t k = 0; k < 5; ++k) sum += p.data<double>()[row * 5 + k];
    CHECK(std::fabs(sum - 1) <= 1e-12);
  }
  CHECK(softmax(ctx, Tensor::empty({0, 5}, DType::f32)).numel() == 0);
}

}  // namespace rcnn
