#include "models/weights.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace rcnn {
namespace {

/// Transposes each block: result[i, c, p] = tensor[i, p, c] for a tensor of (n, positions, channels).
Tensor transpose_blocks(const Tensor& tensor, int64_t n, int64_t positions, int64_t channels,
                        const Shape& shape) {
  Tensor result = Tensor::empty(shape, tensor.dtype());
  visit_float(tensor.dtype(), "weights", [&](auto zero) {
    using T = decltype(zero);
    const T* from = tensor.data<T>();
    T* to = result.mutable_data<T>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c)
          to[(i * channels + c) * positions + p] = from[(i * positions + p) * channels + c];
  });
  return result;
}

}  // namespace

Shape file_shape(const Shape& s) { return s.rank() == 4 ? Shape{s[0], s[3], s[1], s[2]} : s; }

Tensor to_file_layout(const Tensor& tensor, const Shape& pooled) {
  const Shape& s = tensor.shape();
  if (s.rank() == 4) return transpose_blocks(tensor, s[0], s[1] * s[2], s[3], file_shape(s));
  if (pooled.rank() == 3) return transpose_blocks(tensor, s[0], pooled[0] * pooled[1], pooled[2], s);
  return tensor.clone();
}

Tensor from_file_layout(const Tensor& tensor, const Shape& shape, const Shape& pooled) {
  if (shape.rank() == 4) return transpose_blocks(tensor, shape[0], shape[3], shape[1] * shape[2], shape);
  if (pooled.rank() == 3) return transpose_blocks(tensor, shape[0], pooled[2], pooled[0] * pooled[1], shape);
  return tensor.clone();
}

std::vector<std::pair<std::string, Tensor>> save_weights(FasterRcnn& model) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  visit_module(
      model,
      [&](const std::string& name, Var& value, const Shape& pooled) {
        tensors.emplace_back(name, to_file_layout(value.value().to(Device{}), pooled));
      },
      [&](const std::string& name, Tensor& value) {
        tensors.emplace_back(name, value.to(Device{}).clone());
      });
  return tensors;
}

namespace {

Tensor filled(int64_t count, double value) {
  const Tensor tensor = Tensor::zeros({count}, DType::f32);
  tensor.fill(value);
  return tensor;
}

}  // namespace

NormNames::NormNames(std::string conv) {
  if (const size_t at = conv.rfind("conv"); at != std::string::npos)
    conv.replace(at, 4, "bn");
  else
    ++conv.back();
  weight = conv + ".weight";
  bias = conv + ".bias";
  mean = conv + ".running_mean";
  variance = conv + ".running_var";
}

bool may_be_normalised(std::string_view name, const Shape& shape) {
  const bool there = name.starts_with("backbone.body.") || name.starts_with("roi_heads.box_head.layer4.");
  return there && shape.rank() == 4;
}

void add_shifting_norm(std::map<std::string, Tensor>& tensors, const NormNames& names, const Tensor& shift,
                       float eps) {
  const int64_t channels = shift.numel();
  tensors[names.weight] = filled(channels, 1);
  tensors[names.bias] = shift;
  tensors[names.mean] = filled(channels, 0);
  // 1 - eps is rounded so that adding eps gives 1 to the last bit.
  tensors[names.variance] = filled(channels, 1 - static_cast<double>(eps));
}

std::vector<std::pair<std::string, Tensor>> export_weights(FasterRcnn& model) {
  const auto list = save_weights(model);
  if (model.config.norm != "folded" || !model.backbone->normalised) return list;
  std::map<std::string, Tensor> tensors(list.begin(), list.end());
  for (const auto& [name, filter] : list) {
    if (!may_be_normalised(name, filter.shape())) continue;
    const std::string conv = name.substr(0, name.rfind('.'));
    const auto bias = tensors.find(conv + ".bias");
    if (bias == tensors.end()) continue;
    const Tensor shift = bias->second;
    tensors.erase(bias);
    add_shifting_norm(tensors, NormNames(conv), shift, model.config.norm_eps);
  }
  return {tensors.begin(), tensors.end()};
}

void check_finite(const std::map<std::string, Tensor>& tensors, const std::string& file) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::f32) continue;
    const auto values = tensor.values<float>();
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    check_input(bad == values.end(), "{}: tensor '{}' has the value {}, which is not a finite number", file,
                name, bad == values.end() ? 0 : *bad);
  }
}

void load_weights(FasterRcnn& model, const std::map<std::string, Tensor>& tensors, const std::string& file) {
  std::vector<std::function<void()>> copies;
  size_t used = 0;
  std::map<std::string, bool> known;
  const auto plan = [&](const std::string& name, const Tensor& target, const Shape& pooled) {
    const auto found = tensors.find(name);
    check_input(found != tensors.end(), "{}: tensor '{}' is missing; this model needs it", file, name);
    const Tensor& source = found->second;
    check_input(source.dtype() == target.dtype(), "{}: tensor '{}' is {}, expected {}", file, name,
                name_of(source.dtype()), name_of(target.dtype()));
    check_input(source.shape() == file_shape(target.shape()), "{}: tensor '{}' has shape {}, expected {}",
                file, name, source.shape().str(), file_shape(target.shape()).str());
    ++used;
    known[name] = true;
    copies.push_back([source, target, pooled] {
      target.copy_from(from_file_layout(source, target.shape(), pooled).to(target.device()));
    });
  };
  visit_module(
      model,
      [&](const std::string& name, Var& value, const Shape& pooled) { plan(name, value.value(), pooled); },
      [&](const std::string& name, Tensor& value) { plan(name, value, {}); });
  if (used != tensors.size())
    for (const auto& [name, tensor] : tensors)
      check_input(known.contains(name), "{}: tensor '{}' of shape {} is not part of this model", file, name,
                  tensor.shape().str());
  for (const auto& copy : copies) copy();
}

}  // namespace rcnn
