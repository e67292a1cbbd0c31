#include "train/sgd.h"

#include <limits>

#include "kernels/sgd.h"

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

void Sgd::step(Context& ctx, float learning_rate) {
  std::vector<kernels::SgdParameter> list;
  for (const Parameter& p : parameters_)
    if (p.value.has_gradient())
      list.push_back({p.value.value().mutable_data<float>(), p.value.gradient().data<float>(),
                      p.momentum.mutable_data<float>(), p.value.value().numel(), 1.0f,
                      options_.weight_decay});
  learning_rate_.fill(static_cast<double>(learning_rate));
  skip_.fill(0);
  const auto count = static_cast<int64_t>(list.size());
  const float most = options_.clip_norm > 0 ? options_.clip_norm : std::numeric_limits<float>::infinity();
  kernels::run(ctx, kernels::clip_gradients,
               kernels::ClipGradientsArgs{list.data(), count, most, norm_.mutable_data<float>(),
                                          scale_.mutable_data<float>(), skip_.mutable_data<int32_t>()});
  kernels::run(ctx, kernels::sgd,
               kernels::SgdArgs{list.data(), count, learning_rate_.data<float>(), options_.momentum,
                                scale_.data<float>(), skip_.data<int32_t>()});
  for (const Parameter& p : parameters_) p.value.clear_gradient();
}

}  // namespace rcnn
