#pragma once

#include "kernels/boxes/sample.h"
#include "kernels/cases.h"

namespace rcnn::kernels {

struct SampleCase {
  int64_t n, r;
  int lowest, highest;  // of matched
  int64_t batch;
  float positive_fraction;
  bool labels = true, rows = true;  // which outputs are wanted
};

inline std::vector<SampleCase> sample_cases() {
  return {
      {2, 1009, -2, 5, 64, 0.5f},   {1, 53, -1, 0, 256, 0.25f},  // fewer rows than the batch
      {2, 101, -1, -1, 32, 0.5f},                                // no positives
      {2, 101, 0, 3, 32, 0.25f},                                 // no negatives
      {1, 101, -2, -2, 32, 0.25f},                               // all ignored
      {2, 5003, -1, 0, 64, 0.5f},                                // many rows to choose from
      {1, 1501, -1, 0, 1201, 0.4f}, {1, 101, -2, 3, 0, 0.5f},
      {2, 0, -2, 3, 8, 0.5f},       {0, 7, -2, 3, 8, 0.5f},
  };
}

/// Anchors and proposals of nano-fpn at 4 x 240 x 320, and the anchors of a ResNet-50 FPN at 800 x 1344.
inline std::vector<SampleCase> sample_bench_cases() {
  return {{4, 37800, -1, 0, 256, 0.5f}, {4, 516, -1, 0, 64, 0.5f}, {1, 268569, -1, 0, 256, 0.5f}};
}

RCNN_CASE_FIELDS(SampleCase, n, r, lowest, highest, batch, positive_fraction, labels, rows)

/// Which rows are positive is left to the values.
inline SampleCase case_of(const SampleArgs& a, ArgumentReader&) {
  return {a.n, a.r, -1, 0, a.batch, a.positive_fraction, a.labels != nullptr, a.rows != nullptr};
}

inline Prepared<SampleArgs> prepare_sample(const SampleCase& c, Filler fill) {
  Prepared<SampleArgs> p;
  const Tensor matched = fill.integers(p.inputs, {c.n, c.r}, c.lowest, c.highest);
  const Tensor step = fill.integers(p.inputs, {1}, 0, 1 << 20);
  const Tensor image_id = fill.integers(p.inputs, {c.n}, 0, 1 << 20);
  const Tensor labels = fill.poisoned<int32_t>(p.outputs, {c.n, c.r});
  const Tensor rows = fill.poisoned<int32_t>(p.outputs, {c.n, c.batch});
  const Tensor count = fill.poisoned<int32_t>(p.outputs, {c.n});
  p.args = {.n = c.n,
            .r = c.r,
            .matched = matched.data<int32_t>(),
            .batch = c.batch,
            .positive_fraction = c.positive_fraction,
            .seed = 0x9E3779B97F4A7C15ull,
            .purpose = Purpose::rpn_sample,
            .step = step.data<int32_t>(),
            .image_id = image_id.data<int32_t>(),
            .labels = c.labels ? labels.mutable_data<int32_t>() : nullptr,
            .rows = c.rows ? rows.mutable_data<int32_t>() : nullptr,
            .count = count.mutable_data<int32_t>()};
  return p;
}

RCNN_OP_CASES(sample, sample_cases, sample_bench_cases, prepare_sample)

}  // namespace rcnn::kernels
