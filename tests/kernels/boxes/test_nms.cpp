#include "kernels/boxes/nms_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Example {
  std::vector<float> boxes, scores;
  std::vector<int32_t> group;
  float threshold = 0.5f;
  int64_t capacity = 4;
  float plus_one = 0;
};

Prepared<NmsArgs> prepare(const Example& e) {
  const auto m = static_cast<int64_t>(e.scores.size());
  Prepared<NmsArgs> p;
  p.inputs = {Tensor::of({m, 4}, std::span<const float>(e.boxes)),
              Tensor::of({m}, std::span<const float>(e.scores)),
              Tensor::of({m}, std::span<const int32_t>(e.group))};
  p.outputs = {Tensor::empty({e.capacity}, DType::i32), Tensor::empty({1}, DType::i32)};
  for (const Tensor& output : p.outputs) output.fill(77);
  p.args = {.n = 1,
            .m = m,
            .boxes = p.inputs[0].data<float>(),
            .scores = p.inputs[1].data<float>(),
            .group = p.inputs[2].data<int32_t>(),
            .threshold = e.threshold,
            .capacity = e.capacity,
            .keep = p.outputs[0].mutable_data<int32_t>(),
            .count = p.outputs[1].mutable_data<int32_t>(),
            .plus_one = e.plus_one};
  return p;
}

void expect_kept(const Example& e, const std::vector<int32_t>& expected) {
  each_result(
      nms, [&] { return prepare(e); },
      [&](const std::vector<Tensor>& outputs) {
        std::vector<int32_t> padded = expected;
        padded.resize(static_cast<size_t>(e.capacity), -1);
        CHECK(ints(outputs[0]) == padded);
        CHECK(ints(outputs[1]) == std::vector{static_cast<int32_t>(expected.size())});
      });
}

}  // namespace

VERIFY_OP(nms)

TEST_CASE("nms: the best box suppresses those that overlap it, and only kept boxes suppress others") {
  // The IoU with the next box is 2/3, with the one after that 3/7: the second is suppressed, the third is
  // kept.
  const std::vector<float> chain = {0, 0, 10, 1, 2, 0, 12, 1, 4, 0, 14, 1};
  expect_kept({chain, {3, 2, 1}, {0, 0, 0}}, {0, 2});
  expect_kept({chain, {1, 3, 2}, {0, 0, 0}}, {1});
  expect_kept({chain, {3, 2, 1}, {0, 0, 0}, 0.7f}, {0, 1, 2});
  expect_kept({chain, {3, 2, 1}, {0, 0, 0}, 0.4f}, {0});
}

TEST_CASE("nms: an overlap equal to the threshold does not suppress") {
  const std::vector<float> half = {0, 0, 2, 1, 0, 0, 1, 1};  // IoU exactly 1/2
  expect_kept({half, {2, 1}, {0, 0}, 0.5f}, {0, 1});
  expect_kept({half, {2, 1}, {0, 0}, std::nextafter(0.5f, 0.0f)}, {0});
}

TEST_CASE("nms: the corners of boxes can be whole pixels") {
  const std::vector<float> rows = {0, 0, 1, 0, 1, 0, 2, 0, 3, 0, 4, 0};  // two pixels each: IoU 1/3, 0, 0
  expect_kept({rows, {3, 2, 1}, {0, 0, 0}, 0.25f}, {0, 1, 2});
  expect_kept({rows, {3, 2, 1}, {0, 0, 0}, 0.25f, 4, 1}, {0, 2});
  expect_kept({rows, {3, 2, 1}, {0, 0, 0}, 0.34f, 4, 1}, {0, 1, 2});
}

TEST_CASE("nms: among equal boxes with equal scores, the lowest row is kept") {
  const std::vector<float> same = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
  expect_kept({same, {1, 1, 1}, {0, 0, 0}}, {0});
  expect_kept({same, {1, 2, 2}, {0, 0, 0}}, {1});
  expect_kept({same, {1, 1, 1}, {0, 0, 0}, 1.0f}, {0, 1, 2});  // no IoU is greater than 1
}

TEST_CASE("nms: groups do not suppress each other, and group -1 is never kept") {
  const std::vector<float> same = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
  expect_kept({same, {1, 2, 3, 4}, {5, 0, 5, -1}}, {2, 1});
  expect_kept({same, {1, 2, 3, 4}, {-1, -1, -1, -1}}, {});
  expect_kept({same, {1, 2, 3, 4}, {2147483647, 0, 1, 2147483647}}, {3, 2, 1});
}

TEST_CASE("nms: boxes with NaN scores are never kept, and NaN boxes and empty boxes overlap nothing") {
  const std::vector<float> same = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
  expect_kept({same, {kNaN, 1, 2}, {0, 0, 0}}, {2});
  expect_kept({same, {kNaN, kNaN, -kNaN}, {0, 0, 0}}, {});
  const std::vector<float> faulty = {0, 0, kNaN, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
  expect_kept({faulty, {4, 3, 2, 1}, {0, 0, 0, 0}}, {0, 1, 2, 3});
}

TEST_CASE("nms: the capacity limits all groups together to the best boxes") {
  const std::vector<float> apart = {0, 0, 1, 1, 2, 0, 3, 1, 4, 0, 5, 1, 6, 0, 7, 1, 6, 0, 7, 1};
  expect_kept({apart, {1, 5, 2, 4, 3}, {0, 0, 1, 1, 1}, 0.5f, 3}, {1, 3, 2});
  expect_kept({apart, {1, 5, 2, 4, 3}, {0, 0, 1, 1, 1}, 0.5f, 0}, {});
  expect_kept({{}, {}, {}, 0.5f, 2}, {});
}

TEST_CASE("nms: any of many kept boxes can suppress the last one") {
  // 150 boxes in a row that do not touch each other, followed by a copy of one of them.
  constexpr size_t kBoxes = 150;
  for (size_t copied : {size_t{0}, size_t{63}, size_t{64}, size_t{149}}) {
    Example e{{}, {}, {}, 0.5f, 200};
    std::vector<int32_t> expected;
    for (size_t i = 0; i <= kBoxes; ++i) {
      const float x = 2 * static_cast<float>(i < kBoxes ? i : copied);
      e.boxes.insert(e.boxes.end(), {x, 0, x + 1, 1});
      e.scores.push_back(-static_cast<float>(i));
      e.group.push_back(3);
      if (i < kBoxes) expected.push_back(static_cast<int32_t>(i));
    }
    expect_kept(e, expected);
  }
}

TEST_CASE("nms: a long chain of boxes, each overlapping the next, keeps every other one") {
  Example e{{}, {}, {}, 0.5f, 200};
  std::vector<int32_t> expected;
  for (int i = 0; i < 150; ++i) {
    const float x = 2 * static_cast<float>(i);
    e.boxes.insert(e.boxes.end(), {x, 0, x + 10, 1});
    e.scores.push_back(-static_cast<float>(i));
    e.group.push_back(0);
    if (i % 2 == 0) expected.push_back(i);
  }
  expect_kept(e, expected);
}

}  // namespace rcnn::kernels
