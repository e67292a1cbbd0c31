#pragma once

#include "kernels/cases.h"
#include "kernels/ema.h"

namespace rcnn::kernels {

struct EmaCase {
  std::vector<int64_t> sizes;  // of the tensors
  bool skipped = false;
};

inline std::vector<EmaCase> ema_cases() {
  return {
      {{5, 1, 33}},
      {{3, 40001, 0, 17, 8192, 0}},  // several chunks, and a whole one; tensors that are empty
      {{7, 9}, true},
      {{}},
  };
}

/// The sizes of nano-fpn (0.8 M values) and of R50-FPN (41.8 M), in tensors of like sizes.
inline std::vector<EmaCase> ema_bench_cases() {
  return {{std::vector<int64_t>(70, 11500)}, {std::vector<int64_t>(160, 261000)}};
}

inline Prepared<EmaArgs> prepare_ema(const EmaCase& c, Filler fill) {
  Prepared<EmaArgs> p;
  const Tensor table = Tensor::empty({static_cast<int64_t>(c.sizes.size() * sizeof(EmaTensor))}, DType::u8);
  p.inputs.push_back(table);
  auto* tensors = static_cast<EmaTensor*>(table.mutable_raw());
  for (size_t i = 0; i < c.sizes.size(); ++i) {
    EmaTensor t{};
    t.size = c.sizes[i];
    t.value = fill.numbers<float>(p.inputs, {t.size}).data<float>();
    t.average = fill.numbers<float>(p.outputs, {t.size}).mutable_data<float>();
    tensors[i] = t;
  }
  p.args.tensors = tensors;
  p.args.count = static_cast<int64_t>(c.sizes.size());
  p.args.chunks = number_chunks(std::span(tensors, c.sizes.size()));
  p.args.decay = fill.uniform<float>(p.inputs, {}, 0.5f, 0.999f).data<float>();
  p.args.skip = fill.integers(p.inputs, {}, c.skipped, c.skipped).data<int32_t>();
  return p;
}

}  // namespace rcnn::kernels
