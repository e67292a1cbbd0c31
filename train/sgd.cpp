#include "train/sgd.h"

#include <limits>

namespace rcnn {

Sgd::Sgd(Context& ctx, std::vector<Parameter> parameters, const Options& options)
    : options_(options),
      parameters_(std::move(parameters)),
      learning_rate_(ctx.zeros({})),
      norm_(ctx.zeros({})),
      scale_(ctx.zeros({})),
      skip_(ctx.zeros({}, DType::i32)) {
  for (Parameter& parameter : parameters_) parameter.momentum = ctx.zeros(parameter.value.shape());
}

void Sgd::set_learning_rate(float rate) { learning_rate_.fill(static_cast<double>(rate)); }

void Sgd::step(Context& ctx) {
  const LayerScope layer(ctx, "sgd");
  std::vector<kernels::SgdParameter> list;
  for (const Parameter& p : parameters_)
    if (p.value.has_gradient())
      list.push_back({.weight = p.value.value().mutable_data<float>(),
                      .gradient = p.value.gradient().data<float>(),
                      .momentum = p.momentum.mutable_data<float>(),
                      .size = p.value.value().numel(),
                      .rate_factor = p.name.ends_with(".bias") ? options_.bias_lr_factor : 1.0f,
                      .weight_decay = options_.weight_decay});
  const auto count = static_cast<int64_t>(list.size()), chunks = kernels::number_chunks(list);
  const kernels::SgdParameter* table = table_.copy_to(ctx.device, list);
  skip_.fill(0);
  const float max_norm = options_.clip_norm > 0 ? options_.clip_norm : std::numeric_limits<float>::infinity();
  kernels::run(ctx, kernels::clip_gradients,
               kernels::ClipGradientsArgs{.parameters = table,
                                          .count = count,
                                          .chunks = chunks,
                                          .max_norm = max_norm,
                                          .norm = norm_.mutable_data<float>(),
                                          .scale = scale_.mutable_data<float>(),
                                          .skip = skip_.mutable_data<int32_t>()});
  kernels::run(ctx, kernels::sgd,
               kernels::SgdArgs{.parameters = table,
                                .count = count,
                                .chunks = chunks,
                                .learning_rate = learning_rate_.data<float>(),
                                .momentum = options_.momentum,
                                .gradient_scale = scale_.data<float>(),
                                .skip = skip_.data<int32_t>()});
  for (const Parameter& p : parameters_) p.value.clear_gradient();
}

}  // namespace rcnn
