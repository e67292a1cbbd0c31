#include "kernels/max_pool_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("max_pool: every variant agrees with the reference in double") {
  verify(max_pool, max_pool_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_max_pool<decltype(zero)>(c, fill); });
}

TEST_CASE("max_pool_backward: every variant agrees with the reference in double") {
  verify(max_pool_backward, max_pool_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_max_pool_backward<decltype(zero)>(c, fill);
  });
}

TEST_CASE("max_pool_size: floor mode") {
  CHECK(max_pool_size(7, 3, 2, 1) == 4);
  CHECK(max_pool_size(8, 3, 2, 1) == 4);
  CHECK(max_pool_size(7, 2, 2, 0) == 3);
  CHECK(max_pool_size(2, 3, 1, 0) == 0);
}

TEST_CASE("max_pool: overlapping windows, padding, ties and NaN") {
  // A row of 5, kernel 3, stride 2, pad 1: the windows are pixels 0..1, 1..3 and 3..4.
  const auto row = [](std::vector<float> x) {
    std::vector<float> y(3), dx(5, std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> dy{1, 10, 100};
    Context ctx;
    run(ctx, max_pool, MaxPoolArgs<float>{1, 1, 5, 1, 1, 3, 3, 2, 1, x.data(), y.data()});
    run(ctx, max_pool_backward,
        MaxPoolBackwardArgs<float>{1, 1, 5, 1, 1, 3, 3, 2, 1, x.data(), dy.data(), dx.data(),
                                   Accumulate::no});
    return std::pair{y, dx};
  };
  using Row = std::vector<float>;
  CHECK(row({4, 1, 2, 3, 5}) == std::pair{Row{4, 3, 5}, Row{1, 0, 0, 10, 100}});
  CHECK(row({1, 7, 2, 3, 2}) == std::pair{Row{7, 7, 3}, Row{0, 11, 0, 100, 0}});  // one pixel, two windows
  CHECK(row({2, 2, 2, 2, 2}) == std::pair{Row{2, 2, 2}, Row{1, 10, 0, 100, 0}});  // the first of equals
  CHECK(row({-3, -4, -5, -9, -8}) == std::pair{Row{-3, -4, -8}, Row{1, 10, 0, 0, 100}});  // padding is no 0
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  CHECK(row({-inf, -inf, -inf, 1, 2}) == std::pair{Row{-inf, 1, 2}, Row{1, 0, 0, 10, 100}});
  const auto [y, dx] = row({9, 1, nan, 3, 5});
  CHECK(y[0] == 9);
  CHECK(std::isnan(y[1]));
  CHECK(y[2] == 5);
  CHECK(dx == Row{1, 0, 10, 0, 100});
}

}  // namespace rcnn::kernels
