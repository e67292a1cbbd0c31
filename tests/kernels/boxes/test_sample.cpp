#include <set>

#include "kernels/boxes/sample_cases.h"
#include "kernels/boxes/sample_math.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

struct Draw {
  std::vector<int32_t> labels, rows, count;
};

struct Setting {
  uint64_t seed = 7;
  Purpose purpose = Purpose::rpn_sample;
  int32_t step = 3;
  int64_t batch = 8;
  float positive_fraction = 0.5f;
};

/// The example of images that have the same `matched`; outputs are labels, rows and count.
Prepared<SampleArgs> prepare(const std::vector<int32_t>& matched, const std::vector<int32_t>& image_id,
                             const Setting& s) {
  const auto n = static_cast<int64_t>(image_id.size()), r = static_cast<int64_t>(matched.size());
  std::vector<int32_t> all;
  for (int64_t i = 0; i < n; ++i) all.insert(all.end(), matched.begin(), matched.end());
  Prepared<SampleArgs> p;
  p.args = {.n = n,
            .r = r,
            .matched = given(p, all),
            .batch = s.batch,
            .positive_fraction = s.positive_fraction,
            .seed = s.seed,
            .purpose = s.purpose,
            .step = given<int32_t>(p, {s.step}),
            .image_id = given(p, image_id),
            .labels = poisoned<int32_t>(p, n * r),
            .rows = poisoned<int32_t>(p, n * s.batch),
            .count = poisoned<int32_t>(p, n)};
  return p;
}

/// What every variant draws.
Draw draw(const std::vector<int32_t>& matched, const std::vector<int32_t>& image_id, const Setting& s) {
  Draw out;
  each_result(
      sample, [&] { return prepare(matched, image_id, s); },
      [&](const auto& outputs) {
        const Draw drawn{ints(outputs[0]), ints(outputs[1]), ints(outputs[2])};
        if (out.count.empty()) out = drawn;
        CHECK(drawn.labels == out.labels);
        CHECK(drawn.rows == out.rows);
        CHECK(drawn.count == out.count);
      });
  return out;
}

/// 10 positive, 30 negative and 10 ignored rows in mixed order.
std::vector<int32_t> mixed() {
  std::vector<int32_t> matched(50);
  for (size_t i = 0; i < matched.size(); ++i) matched[i] = i % 5 == 0 ? 2 : i % 5 == 3 ? -2 : -1;
  return matched;
}

}  // namespace

VERIFY_OP(sample)

TEST_CASE("sample_quota: positives up to their fraction, and negatives for the rest") {
  const auto expect = [](SampleQuota q, int64_t positives, int64_t negatives) {
    CHECK(q.positives == positives);
    CHECK(q.negatives == negatives);
  };
  expect(sample_quota(1000, 1000, 256, 0.5f), 128, 128);
  expect(sample_quota(3, 1000, 256, 0.5f), 3, 253);
  expect(sample_quota(1000, 3, 256, 0.5f), 128, 3);
  expect(sample_quota(1000, 1000, 512, 0.25f), 128, 384);
  expect(sample_quota(1000, 1000, 10, 0.3f), 3, 7);
  expect(sample_quota(1000, 1000, 10, 0.39f), 3, 7);  // rounded down
  expect(sample_quota(0, 0, 256, 0.5f), 0, 0);
}

TEST_CASE("sample: chooses the rows with the smallest (random number, row), in that order") {
  const std::vector<int32_t> matched = mixed();
  const Setting setting;
  const Draw out = draw(matched, {42}, setting);
  std::set<std::pair<uint32_t, int32_t>> positives, negatives;
  for (int32_t row = 0; row < 50; ++row) {
    const uint32_t random = philox(7, Purpose::rpn_sample, 3, 42, static_cast<uint32_t>(row));
    if (matched[static_cast<size_t>(row)] >= 0) positives.insert({random, row});
    if (matched[static_cast<size_t>(row)] == -1) negatives.insert({random, row});
  }
  std::vector<int32_t> rows, labels(50, -1);
  for (const auto* kind : {&positives, &negatives}) {
    auto next = kind->begin();
    for (int i = 0; i < 4; ++i, ++next) {
      rows.push_back(next->second);
      labels[static_cast<size_t>(next->second)] = kind == &positives ? 1 : 0;
    }
  }
  CHECK(out.count == std::vector<int32_t>{8});
  CHECK(out.rows == rows);
  CHECK(out.labels == labels);
}

TEST_CASE("sample: the sample of an image does not depend on its position in the batch") {
  const Draw alone = draw(mixed(), {42}, {}), among = draw(mixed(), {5, 42, 6}, {});
  CHECK(std::equal(alone.rows.begin(), alone.rows.end(), among.rows.begin() + 8));
  CHECK(std::equal(alone.labels.begin(), alone.labels.end(), among.labels.begin() + 50));
  // Images with other ids get other samples.
  CHECK_FALSE(std::equal(alone.rows.begin(), alone.rows.end(), among.rows.begin()));
}

TEST_CASE("sample: seed, purpose and step change the sample") {
  const std::vector<int32_t> rows = draw(mixed(), {42}, {}).rows;
  CHECK(draw(mixed(), {42}, {}).rows == rows);
  CHECK(draw(mixed(), {42}, {.seed = 8}).rows != rows);
  CHECK(draw(mixed(), {42}, {.purpose = Purpose::roi_sample}).rows != rows);
  CHECK(draw(mixed(), {42}, {.step = 4}).rows != rows);
}

TEST_CASE("sample: if there are too few rows, the end of the batch stays empty") {
  const Draw out = draw({-2, 0, -1, -2}, {1}, {});
  CHECK(out.count == std::vector<int32_t>{2});
  CHECK(out.rows == std::vector<int32_t>{1, 2, -1, -1, -1, -1, -1, -1});
  CHECK(out.labels == std::vector<int32_t>{-1, 1, 0, -1});
}

TEST_CASE("sample: either of the outputs labels and rows may be omitted") {
  const Draw both = draw(mixed(), {42}, {});
  const auto without_rows = [] {
    auto p = prepare(mixed(), {42}, {});
    p.args.rows = nullptr;
    return p;
  };
  each_result(sample, without_rows, [&](const auto& outputs) { CHECK(ints(outputs[0]) == both.labels); });
  const auto without_labels = [] {
    auto p = prepare(mixed(), {42}, {});
    p.args.labels = nullptr;
    return p;
  };
  each_result(sample, without_labels, [&](const auto& outputs) { CHECK(ints(outputs[1]) == both.rows); });
}

}  // namespace rcnn::kernels
