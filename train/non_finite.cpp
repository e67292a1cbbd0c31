#include "train/non_finite.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <span>

namespace rcnn {
namespace {

/// The elements of a tensor that are not finite.
struct BadElements {
  int64_t count = 0, first = 0;
  float value = 0;  // of the first
  Shape shape;
  std::vector<int64_t> rows;  // of the first dimension, ascending; of a scalar, 0

  /// "nan at (0, 3, 4, 5), with 17 more, of (2, 60, 80, 64)".
  std::string str() const {
    std::vector<int64_t> at(static_cast<size_t>(shape.rank()));
    int64_t rest = first;
    for (int i = shape.rank() - 1; i >= 0; rest /= shape[i--]) at[static_cast<size_t>(i)] = rest % shape[i];
    const std::string place = at.empty() ? "" : fmt::format(" at ({})", fmt::join(at, ", "));
    const std::string more = count > 1 ? fmt::format(", with {} more,", count - 1) : "";
    return fmt::format("{}{}{} of {}", value, place, more, at.empty() ? "one value" : shape.str());
  }
};

std::optional<BadElements> find_bad(const Tensor& tensor) {
  if (!tensor.defined() || (tensor.dtype() != DType::f32 && tensor.dtype() != DType::f64)) return {};
  BadElements bad;
  bad.shape = tensor.shape();
  const Tensor host = tensor.to(Device{}).cast(DType::f32);
  const auto values = host.values<float>();
  const int64_t row =
      bad.shape.rank() == 0 ? 1 : std::max<int64_t>(1, tensor.numel() / std::max<int64_t>(1, bad.shape[0]));
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    const auto index = static_cast<int64_t>(i);
    if (bad.count++ == 0) {
      bad.first = index;
      bad.value = values[i];
    }
    if (bad.rows.empty() || bad.rows.back() != index / row) bad.rows.push_back(index / row);
  }
  return bad.count > 0 ? std::optional(bad) : std::nullopt;
}

/// The first tensor with a value that is not finite.
struct Culprit {
  std::string what;                // "the output of conv2d with backbone.body.conv1.weight: nan at ..."
  std::optional<BadElements> bad;  // where its rows belong to images
};

/// "conv2d with backbone.body.conv1.weight": a layer is named by the first parameter among its inputs.
std::string layer_name(const Node& layer, const std::vector<Var>& inputs,
                       const std::map<uint64_t, std::string>& parameters) {
  for (const Var& input : inputs) {
    if (!input.defined()) continue;
    if (const auto found = parameters.find(input.value().storage().id); found != parameters.end())
      return fmt::format("{} with {}", layer.name(), found->second);
  }
  return layer.name();
}

struct Pass {
  std::vector<std::string> terms;  // keys of the loss terms that are not finite
  std::optional<Culprit> culprit;
};

void forget_gradients(FasterRcnn& model) {
  for_each_parameter(model, [](const std::string&, Var& v) { v.clear_gradient(); });
}

/// The first gradient that is not finite in the order of the backward pass.
std::optional<Culprit> find_gradient(FasterRcnn& model) {
  std::optional<Culprit> found;
  double square = 0;
  for_each_parameter(model, [&](const std::string& name, Var& v) {
    if (!v.has_gradient()) return;
    const Tensor gradient = v.gradient().to(Device{});
    if (const auto bad = find_bad(gradient))
      found = Culprit{"the gradient of " + name + ": " + bad->str(), {}};
    for (const float g : gradient.values<float>()) square += static_cast<double>(g) * static_cast<double>(g);
  });
  // clip_gradients computes the norm as a float.
  if (!found && !std::isfinite(static_cast<float>(std::sqrt(square))))
    found = Culprit{
        fmt::format("the norm of all gradients, which are finite: {:.3g} is more than a float can hold",
                    std::sqrt(square)),
        {}};
  return found;
}

/// Runs the forward and the backward pass. The caller restores the running statistics.
Pass repeat(Context& ctx, FasterRcnn& model, const TrainingBatch& batch) {
  Pass pass;
  std::map<uint64_t, std::string> parameters;
  for_each_parameter(model, [&](const std::string& name, Var& v) {
    parameters[v.value().storage().id] = name;
    if (const auto bad = pass.culprit ? std::nullopt : find_bad(v.value()))
      pass.culprit = Culprit{"the parameter " + name + ": " + bad->str(), {}};
  });
  if (const auto bad = pass.culprit ? std::nullopt : find_bad(batch.images.pixels))
    pass.culprit = Culprit{"the pixels: " + bad->str(), bad};
  if (const auto bad = pass.culprit ? std::nullopt : find_bad(batch.truth.boxes))
    pass.culprit = Culprit{"the boxes of the objects: " + bad->str(), bad};

  ctx.training = ctx.grad = true;
  ctx.watch = [&](const Node& layer, const std::vector<Var>& inputs, const Tensor& output) {
    if (pass.culprit) return;
    if (const auto bad = find_bad(output))
      pass.culprit =
          Culprit{"the output of " + layer_name(layer, inputs, parameters) + ": " + bad->str(), bad};
  };
  const Losses losses = model.losses(ctx, batch.images, batch.truth);
  ctx.watch = nullptr;
  for (const LossTerm& term : std::span(kLosses).subspan(1))  // without the total
    if (find_bad((losses.*term.value).value())) pass.terms.emplace_back(term.key);
  forget_gradients(model);
  backward(ctx, losses.total);
  if (!pass.culprit) pass.culprit = find_gradient(model);
  forget_gradients(model);
  return pass;
}

TrainingBatch image_of(const TrainingBatch& batch, int64_t i) {
  const auto row = [i](const Tensor& tensor) { return tensor.defined() ? tensor.slice(i, i + 1) : tensor; };
  const ImageBatch& images = batch.images;
  return {
      {row(images.pixels),
       row(images.size),
       row(images.scale),
       {row(images.proposals.boxes), row(images.proposals.count)}},
      {row(batch.truth.boxes), row(batch.truth.labels), row(batch.truth.count), row(batch.truth.image_id)}};
}

/// The images that the bad rows belong to, or those that also fail alone. Empty if neither can be determined.
std::set<int64_t> find_images(Context& ctx, FasterRcnn& model, const TrainingBatch& batch,
                              const Culprit& culprit) {
  const int64_t n = batch.images.pixels.dim(0);
  std::set<int64_t> found;
  const auto& bad = culprit.bad;
  if (bad && bad->shape.rank() > 1 && bad->shape[0] >= n && bad->shape[0] % n == 0) {
    for (const int64_t row : bad->rows) found.insert(row / (bad->shape[0] / n));
    return found;
  }
  for (int64_t i = 0; i < n; ++i)
    if (n > 1 && repeat(ctx, model, image_of(batch, i)).culprit) found.insert(i);
  return found;
}

}  // namespace

std::string explain_non_finite(Context& ctx, FasterRcnn& model, int64_t step, const TrainingBatch& batch,
                               const std::vector<std::string>& images) {
  check(static_cast<int64_t>(images.size()) == batch.images.pixels.dim(0),
        "{} names for a batch of {} images", images.size(), batch.images.pixels.dim(0));
  ctx.step.fill(static_cast<double>(step));
  std::vector<std::pair<Tensor, Tensor>> statistics;
  visit_module(
      model, [](const std::string&, Var&, const Shape&) {},
      [&](const std::string&, Tensor& t) { statistics.emplace_back(t, t.clone()); });
  const Pass pass = repeat(ctx, model, batch);
  std::string text;
  if (pass.culprit) {
    if (!pass.terms.empty())
      text = fmt::format("the loss term{} {} {} not finite; ", pass.terms.size() > 1 ? "s" : "",
                         fmt::join(pass.terms, ", "), pass.terms.size() > 1 ? "are" : "is");
    const std::set<int64_t> some = find_images(ctx, model, batch, *pass.culprit);
    std::vector<std::string> names;
    for (const int64_t i : some) names.push_back(images[static_cast<size_t>(i)]);
    const bool all = some.empty() || some.size() == images.size();
    text += fmt::format("the first value that is not finite is in {}; {} {}", pass.culprit->what,
                        all                 ? "all images of the batch:"
                        : names.size() == 1 ? "on the image"
                                            : "on the images",
                        fmt::join(all ? images : names, ", "));
  }
  for (const auto& [tensor, kept] : statistics) tensor.copy_from(kept);
  ctx.grad = ctx.training = false;
  return text;
}

}  // namespace rcnn
