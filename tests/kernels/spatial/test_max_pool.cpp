#include "kernels/spatial/max_pool_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(max_pool)
VERIFY_OP(max_pool_backward)

TEST_CASE("max_pool_size: rounds down, or up with ceil_mode") {
  CHECK(max_pool_size(7, 3, 2, 1) == 4);
  CHECK(max_pool_size(8, 3, 2, 1) == 4);
  CHECK(max_pool_size(7, 2, 2, 0) == 3);
  CHECK(max_pool_size(2, 3, 1, 0) == 0);
  CHECK(max_pool_size(7, 2, 2, 0, true) == 4);  // as with PyTorch's ceil_mode
  CHECK(max_pool_size(8, 2, 2, 0, true) == 4);
  CHECK(max_pool_size(1, 2, 2, 0, true) == 1);
  CHECK(max_pool_size(7, 3, 2, 1, true) == 4);
  CHECK(max_pool_size(8, 3, 2, 1, true) == 5);
  CHECK(max_pool_size(3, 1, 2, 0, true) == 2);
  CHECK(max_pool_size(2, 1, 2, 0, true) == 1);  // a second window would start after the end
  CHECK(max_pool_size(0, 2, 2, 0, true) == 0);
}

TEST_CASE("max_pool: windows can overlap, padding is never the maximum, and ties and NaN are handled") {
  // With a row of 5 pixels, kernel 3, stride 2 and pad 1, the windows are pixels 0..1, 1..3 and 3..4.
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  using Row = std::vector<float>;
  const auto same = [](const Row& found, const Row& expected) {
    for (size_t i = 0; i < expected.size(); ++i) {
      const bool agrees = found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i]));
      CHECK_MESSAGE(agrees, fmt::format("element {} is {}, expected {}", i, found[i], expected[i]));
    }
  };
  const auto check_row = [&](const Row& x, const Row& y, const Row& dx) {
    const auto forward = [&] {
      Prepared<MaxPoolArgs<float>> p;
      p.args = {.n = 1,
                .h = 1,
                .w = 5,
                .c = 1,
                .oh = 1,
                .ow = 3,
                .kernel = 3,
                .stride = 2,
                .pad = 1,
                .x = given(p, x),
                .y = result(p, Row(3, nan))};
      return p;
    };
    hand_worked(max_pool, forward, [&](const auto& outputs) { same(outputs[0], y); });
    const auto backward = [&] {
      Prepared<MaxPoolBackwardArgs<float>> p;
      p.args = {.n = 1,
                .h = 1,
                .w = 5,
                .c = 1,
                .oh = 1,
                .ow = 3,
                .kernel = 3,
                .stride = 2,
                .pad = 1,
                .x = given(p, x),
                .dy = given(p, {1, 10, 100}),
                .dx = result(p, Row(5, nan))};
      return p;
    };
    hand_worked(max_pool_backward, backward, [&](const auto& outputs) { same(outputs[0], dx); });
  };
  check_row({4, 1, 2, 3, 5}, {4, 3, 5}, {1, 0, 0, 10, 100});
  check_row({1, 7, 2, 3, 2}, {7, 7, 3}, {0, 11, 0, 100, 0});          // one pixel in two windows
  check_row({2, 2, 2, 2, 2}, {2, 2, 2}, {1, 10, 0, 100, 0});          // the first of equals
  check_row({-3, -4, -5, -9, -8}, {-3, -4, -8}, {1, 10, 0, 0, 100});  // padding is not 0
  check_row({-inf, -inf, -inf, 1, 2}, {-inf, 1, 2}, {1, 0, 0, 10, 100});
  check_row({9, 1, nan, 3, 5}, {9, nan, 5}, {1, 0, 10, 0, 100});
}

}  // namespace rcnn::kernels
