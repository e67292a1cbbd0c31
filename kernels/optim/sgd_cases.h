#pragma once

#include "kernels/cases.h"
#include "kernels/optim/sgd.h"

namespace rcnn::kernels {

struct SgdCase {
  std::vector<int64_t> sizes;  // of the parameters
  bool scaled = false;         // with a gradient scale
  bool skipped = false;        // the step is skipped
};

inline std::vector<SgdCase> sgd_cases() {
  return {
      {{5, 1, 33}},
      {{3, 40001, 0, 17, 8192, 0}, true},  // several chunks, exactly one, and empty parameters
      {{7, 9}, true, true},
      {{}},
  };
}

/// The sizes of nano-fpn (0.8 M values) and of R50-FPN (41.8 M), split into parameters of equal size.
inline std::vector<SgdCase> sgd_bench_cases() {
  return {{std::vector<int64_t>(70, 11500), true}, {std::vector<int64_t>(160, 261000), true}};
}

RCNN_CASE_FIELDS(SgdCase, sizes, scaled, skipped)

inline SgdCase sgd_case(const SgdParameter* parameters, int64_t count, bool scaled, ArgumentReader& reader) {
  SgdCase c{{}, scaled};
  for (const SgdParameter& parameter : reader.read(parameters, count)) c.sizes.push_back(parameter.size);
  return c;
}
inline SgdCase case_of(const SgdArgs& a, ArgumentReader& reader) {
  return sgd_case(a.parameters, a.count, a.gradient_scale != nullptr, reader);
}
inline SgdCase case_of(const ClipGradientsArgs& a, ArgumentReader& reader) {
  return sgd_case(a.parameters, a.count, false, reader);
}

/// Sets the table of parameters in `args`; the table itself is kept in a tensor of bytes. Every third
/// parameter has twice the learning rate and no weight decay.
template <class Args>
void prepare_parameters(const SgdCase& c, Filler& fill, std::vector<Tensor>& inputs,
                        std::vector<Tensor>& outputs, Args& args) {
  const int64_t bytes = static_cast<int64_t>(c.sizes.size() * sizeof(SgdParameter));
  const Tensor table = Tensor::empty({bytes}, DType::u8);
  inputs.push_back(table);
  auto* parameters = static_cast<SgdParameter*>(table.mutable_raw());
  for (size_t i = 0; i < c.sizes.size(); ++i) {
    SgdParameter p{};
    p.size = c.sizes[i];
    p.gradient = fill.numbers<float>(inputs, {p.size}).data<float>();
    p.weight = fill.numbers<float>(outputs, {p.size}).mutable_data<float>();
    p.momentum = fill.numbers<float>(outputs, {p.size}).mutable_data<float>();
    p.rate_factor = i % 3 == 2 ? 2.0f : 1.0f;
    p.weight_decay = i % 3 == 2 ? 0.0f : 1e-4f;
    parameters[i] = p;
  }
  args.parameters = parameters;
  args.count = static_cast<int64_t>(c.sizes.size());
  args.chunks = number_chunks(std::span(parameters, c.sizes.size()));
}

inline Prepared<SgdArgs> prepare_sgd(const SgdCase& c, Filler fill) {
  Prepared<SgdArgs> p;
  prepare_parameters(c, fill, p.inputs, p.outputs, p.args);
  p.args.learning_rate = fill.uniform<float>(p.inputs, {}, 0.01f, 0.1f).data<float>();
  p.args.momentum = 0.9f;
  if (c.scaled) p.args.gradient_scale = fill.uniform<float>(p.inputs, {}, 0, 1).data<float>();
  p.args.skip = fill.integers(p.inputs, {}, c.skipped, c.skipped).data<int32_t>();
  return p;
}

inline Prepared<ClipGradientsArgs> prepare_clip_gradients(const SgdCase& c, Filler fill) {
  Prepared<ClipGradientsArgs> p;
  prepare_parameters(c, fill, p.inputs, p.inputs, p.args);
  p.args.max_norm = 5;
  p.args.norm = fill.poisoned<float>(p.outputs, {}).mutable_data<float>();
  p.args.scale = fill.poisoned<float>(p.outputs, {}).mutable_data<float>();
  p.args.skip = fill.integers(p.outputs, {}, 0, 0).mutable_data<int32_t>();
  return p;
}

RCNN_OP_CASES(clip_gradients, sgd_cases, sgd_bench_cases, prepare_clip_gradients)
RCNN_OP_CASES(sgd, sgd_cases, sgd_bench_cases, prepare_sgd)

}  // namespace rcnn::kernels
