#pragma once

#include "kernels/cases.h"
#include "kernels/optim/moving_average.h"

namespace rcnn::kernels {

struct MovingAverageCase {
  std::vector<int64_t> sizes;  // of the tensors
  bool skipped = false;
};

inline std::vector<MovingAverageCase> moving_average_cases() {
  return {
      {{5, 1, 33}},
      {{3, 40001, 0, 17, 8192, 0}},  // several chunks, exactly one, and empty tensors
      {{7, 9}, true},
      {{}},
  };
}

/// The sizes of nano-fpn (0.8 M values) and of R50-FPN (41.8 M), split into tensors of equal size.
inline std::vector<MovingAverageCase> moving_average_bench_cases() {
  return {{std::vector<int64_t>(70, 11500)}, {std::vector<int64_t>(160, 261000)}};
}

RCNN_CASE_FIELDS(MovingAverageCase, sizes, skipped)

inline MovingAverageCase case_of(const MovingAverageArgs& a, ArgumentReader& reader) {
  MovingAverageCase c;
  for (const Averaged& tensor : reader.read(a.tensors, a.count)) c.sizes.push_back(tensor.size);
  return c;
}

inline Prepared<MovingAverageArgs> prepare_moving_average(const MovingAverageCase& c, Filler fill) {
  Prepared<MovingAverageArgs> p;
  const Tensor table = Tensor::empty({static_cast<int64_t>(c.sizes.size() * sizeof(Averaged))}, DType::u8);
  p.inputs.push_back(table);
  auto* tensors = static_cast<Averaged*>(table.mutable_raw());
  for (size_t i = 0; i < c.sizes.size(); ++i)
    tensors[i] = {.average = fill.numbers<float>(p.outputs, {c.sizes[i]}).mutable_data<float>(),
                  .value = fill.numbers<float>(p.inputs, {c.sizes[i]}).data<float>(),
                  .size = c.sizes[i]};
  p.args.tensors = tensors;
  p.args.count = static_cast<int64_t>(c.sizes.size());
  p.args.chunks = number_chunks(std::span(tensors, c.sizes.size()));
  p.args.share = fill.uniform<float>(p.inputs, {}, 0.01f, 0.9f).data<float>();
  p.args.skip = fill.integers(p.inputs, {}, c.skipped, c.skipped).data<int32_t>();
  return p;
}

RCNN_OP_CASES(moving_average, moving_average_cases, moving_average_bench_cases, prepare_moving_average)

}  // namespace rcnn::kernels
