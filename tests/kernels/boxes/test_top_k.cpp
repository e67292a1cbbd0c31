#include <bit>

#include "kernels/boxes/score_order.h"
#include "kernels/boxes/top_k_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// `levels` has the scores of each level, for `n` images.
void expect_top_k(int64_t n, const std::vector<std::vector<float>>& levels, int64_t k, float min_score,
                  const std::vector<int32_t>& expected) {
  const auto make = [&] {
    Prepared<TopKArgs> p;
    p.outputs = {Tensor::empty({static_cast<int64_t>(expected.size())}, DType::i32)};
    p.outputs[0].fill(77);
    p.args = {.n = n,
              .levels = static_cast<int>(levels.size()),
              .scores = {},
              .k = k,
              .min_score = min_score,
              .index = p.outputs[0].mutable_data<int32_t>()};
    for (size_t l = 0; l < levels.size(); ++l) {
      const auto size = static_cast<int64_t>(levels[l].size());
      p.inputs.push_back(Tensor::of({size}, std::span<const float>(levels[l])));
      p.args.scores[l] = {p.inputs.back().data<float>(), size / n};
    }
    return p;
  };
  each_result(top_k, make, [&](const auto& outputs) { CHECK(ints(outputs[0]) == expected); });
}

void expect_top_k(const std::vector<float>& scores, int64_t k, float min_score,
                  const std::vector<int32_t>& expected) {
  expect_top_k(1, {scores}, k, min_score, expected);
}

}  // namespace

VERIFY_OP(top_k)

TEST_CASE("top_k: best first, among equal scores the lower row first, and -1 when no row is left") {
  expect_top_k({1, 5, 3, 5, -2}, 3, -kInfinity, {1, 3, 2});
  expect_top_k({1, 5, 3, 5, -2}, 1, -kInfinity, {1});
  expect_top_k({1, 5, 3, 5, -2}, 7, -kInfinity, {1, 3, 2, 0, 4, -1, -1});
  expect_top_k({2, 2, 2, 2}, 2, -kInfinity, {0, 1});
  expect_top_k({}, 2, -kInfinity, {-1, -1});
  expect_top_k({-0.0f, 0.0f, -0.0f}, 3, -kInfinity, {0, 1, 2});  // zeros of either sign are equal
}

TEST_CASE("top_k: only scores above the bound are chosen, and NaN never") {
  expect_top_k({kNaN, 1, -kNaN, 2}, 4, -kInfinity, {3, 1, -1, -1});
  expect_top_k({kInfinity, 1, -kInfinity, 3}, 4, -kInfinity, {0, 3, 1, -1});
  expect_top_k({0.5f, 0.25f, 0.75f}, 3, 0.5f, {2, -1, -1});
  expect_top_k({kNaN, kNaN}, 1, -kInfinity, {-1});
}

TEST_CASE("top_k: each level of each image is treated separately") {
  // 2 images; the levels have 2 and 3 rows.
  expect_top_k(2, {{1, 2, 4, 3}, {9, 7, 8, 5, 6, 4}}, 2, 0, {1, 0, 0, 2, 0, 1, 1, 0});
}

TEST_CASE("score_key sorts by (score descending, row ascending)") {
  const float falling[] = {kInfinity, 3e38f, 1.5f, 1, 1e-40f, 0, -1e-40f, -1, -1.5f, -3e38f, -kInfinity};
  for (size_t i = 0; i + 1 < std::size(falling); ++i)
    CHECK(score_key(falling[i], 9) < score_key(falling[i + 1], 0));
  CHECK(score_key(1, 3) < score_key(1, 4));
  CHECK(score_key(-0.0f, 3) == score_key(0.0f, 3));
  CHECK(row_of_key(score_key(-1, 0x7FFFFFFF)) == 0x7FFFFFFF);
}

}  // namespace rcnn::kernels
