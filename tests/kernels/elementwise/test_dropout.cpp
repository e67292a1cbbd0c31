#include "kernels/elementwise/dropout_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// Keeps the elements 0, 1 and 3 of four, and drops 2.
template <class Args>
DropoutKey some_key(Prepared<Args>& example) {
  return {.p = 0.5f, .seed = 7, .step = given<int32_t>(example, {3}), .layer = 2};
}

}  // namespace

VERIFY_OP(dropout)
VERIFY_OP(dropout_backward)

TEST_CASE("dropout: keeps the elements that another implementation of Philox chooses") {
  const struct {
    uint64_t seed;
    int32_t step;
    uint32_t layer;
    float p, kept_value;
    const char* kept;  // x
  } cases[] = {
      {7, 3, 2, 0.5f, 2, "xx.xxxxx..xx...x"}, {7, 3, 2, 0.25f, 1 / 0.75f, "xxxxxxxx..xxxxxx"},
      {7, 4, 2, 0.5f, 2, "x.x...xxx.xxxx.x"}, {7, 3, 1, 0.5f, 2, ".x.x.x..xxxxx.xx"},
      {8, 3, 2, 0.5f, 2, "xxxxx..xx..x...x"}, {7, 3, 2, 0, 1, "xxxxxxxxxxxxxxxx"},
  };
  for (const auto& c : cases) {
    std::vector<float> expected;
    for (const char* at = c.kept; *at != 0; ++at) expected.push_back(*at == 'x' ? c.kept_value : 0);
    hand_worked(
        dropout,
        [&](auto& p) {
          const int32_t* step = given<int32_t>(p, {c.step});
          p.args = {.count = 16,
                    .x = given(p, std::vector<float>(16, 1)),
                    .key = {.p = c.p, .seed = c.seed, .step = step, .layer = c.layer},
                    .y = result(p, std::vector<float>(16, kNaN))};
        },
        [&](const auto& outputs) { CHECK(outputs[0] == expected); });
  }
}

TEST_CASE("dropout: a NaN becomes 0 if it is dropped, and stays NaN otherwise") {
  // Of the elements 0, 1 and 2, the last is dropped.
  hand_worked(
      dropout,
      [](auto& p) {
        p.args = {.count = 3,
                  .x = given(p, {3, kNaN, kNaN}),
                  .key = some_key(p),
                  .y = result(p, {kNaN, kNaN, kNaN})};
      },
      [](const auto& outputs) {
        CHECK(outputs[0][0] == 6);
        CHECK(std::isnan(outputs[0][1]));
        CHECK(outputs[0][2] == 0);
      });
}

TEST_CASE("dropout: backward drops the same elements, and writes or adds as requested") {
  for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes})
    hand_worked(
        dropout_backward,
        [&](auto& p) {
          p.args = {.count = 4,
                    .dy = given(p, {1, 2, kNaN, 4}),
                    .key = some_key(p),
                    .dx = result(p, {10, 20, 30, 40}),
                    .accumulate = accumulate};
        },
        [&](const auto& outputs) {
          CHECK(outputs[0] == (accumulate == Accumulate::yes ? std::vector<float>{12, 24, 30, 48}
                                                             : std::vector<float>{2, 4, 0, 8}));
        });
}

}  // namespace rcnn::kernels
