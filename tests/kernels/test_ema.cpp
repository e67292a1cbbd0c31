#include "kernels/ema_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("ema: every variant agrees with the reference") {
  verify(ema, ema_cases(), [](auto, const auto& c, Filler fill) { return prepare_ema(c, fill); });
}

TEST_CASE("ema: an average moves by its share towards the value, unless the step is skipped") {
  const std::vector<float> value{1, -4, 8}, other{2};
  std::vector<float> average{0, 0, 16}, other_average{2};
  EmaTensor tensors[] = {{value.data(), average.data(), 3}, {other.data(), other_average.data(), 1}};
  const float decay = 0.75f;
  int32_t skip = 1;
  Context ctx;
  const EmaArgs args{tensors, 2, number_chunks(std::span(tensors)), &decay, &skip};
  run(ctx, ema, args);
  CHECK(average == std::vector<float>{0, 0, 16});
  skip = 0;
  run(ctx, ema, args);
  CHECK(average == std::vector<float>{0.25f, -1, 14});
  CHECK(other_average == std::vector<float>{2});
}

TEST_CASE("ema: every element of every chunk moves") {
  const std::vector<float> value(20001, 1.0f);
  std::vector<float> average(20001, 0.0f);
  EmaTensor tensor{value.data(), average.data(), 20001};
  const float decay = 0.5f;
  Context ctx;
  run(ctx, ema, EmaArgs{&tensor, 1, number_chunks(std::span(&tensor, 1)), &decay, nullptr});
  CHECK(average == std::vector<float>(20001, 0.5f));
}

}  // namespace rcnn::kernels
