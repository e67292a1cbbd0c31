#include "train/non_finite.h"

#include <cmath>
#include <optional>
#include <utility>

#include "core/error.h"

namespace rcnn {
namespace {

/// "NaN" or "an infinity", or nothing where every element is finite.
std::optional<std::string> bad_value(const Tensor& tensor) {
  if (!tensor.defined() || (tensor.dtype() != DType::f32 && tensor.dtype() != DType::f64))
    return std::nullopt;
  std::optional<std::string> found;
  const Tensor here = tensor.to(Device{});
  visit_float(here.dtype(), "non-finite", [&](auto zero) {
    using T = decltype(zero);
    const T* values = here.data<T>();
    for (int64_t i = 0; i < here.numel() && !found; ++i)
      if (!std::isfinite(values[i])) found = std::isnan(values[i]) ? "NaN" : "an infinity";
  });
  return found;
}

std::optional<std::string> bad_parameter(FasterRcnn& model) {
  std::optional<std::string> found;
  const auto look = [&](const char* kind, const std::string& name, const Tensor& value) {
    if (found) return;
    if (const auto bad = bad_value(value)) found = fmt::format("the {} {} holds {}", kind, name, *bad);
  };
  visit_module(
      model, [&](const std::string& name, Var& v, const Shape&) { look("parameter", name, v.value()); },
      [&](const std::string& name, Tensor& t) { look("statistic", name, t); });
  return found;
}

/// Image i of a batch as a batch of its own.
TrainingBatch one_of(const TrainingBatch& batch, int64_t i) {
  const auto row = [i](const Tensor& t) { return t.slice(i, i + 1); };
  return {
      {row(batch.images.pixels), row(batch.images.size)},
      {row(batch.truth.boxes), row(batch.truth.labels), row(batch.truth.count), row(batch.truth.image_id)}};
}

std::optional<std::string> bad_input(const TrainingBatch& batch, const std::vector<std::string>& images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const TrainingBatch one = one_of(batch, static_cast<int64_t>(i));
    if (const auto bad = bad_value(one.images.pixels))
      return fmt::format("the pixels of {} hold {}", images[i], *bad);
    if (const auto bad = bad_value(one.truth.boxes))
      return fmt::format("a box of {} holds {}", images[i], *bad);
  }
  return std::nullopt;
}

/// Keeps what a pass in training mode changes besides gradients: running statistics and the context's mode.
class Kept {
 public:
  Kept(Context& ctx, FasterRcnn& model) : ctx_(ctx), grad_(ctx.grad), training_(ctx.training) {
    visit_module(
        model, [](const std::string&, Var&, const Shape&) {},
        [&](const std::string&, Tensor& t) { statistics_.emplace_back(t, t.clone()); });
  }
  ~Kept() {
    for (const auto& [tensor, copy] : statistics_) tensor.copy_from(copy);
    ctx_.grad = grad_;
    ctx_.training = training_;
    ctx_.watcher = nullptr;
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

 private:
  Context& ctx_;
  bool grad_, training_;
  std::vector<std::pair<Tensor, Tensor>> statistics_;
};

constexpr std::pair<const char*, Var Losses::*> kTerms[] = {{"RPN objectness", &Losses::objectness},
                                                            {"RPN box", &Losses::rpn_box},
                                                            {"head class", &Losses::classifier},
                                                            {"head box", &Losses::box}};

std::string bad_terms(const Losses& losses) {
  std::vector<std::string> terms;
  for (const auto& [name, term] : kTerms)
    if (const auto bad = bad_value((losses.*term).value()))
      terms.push_back(fmt::format("{} ({})", name, *bad));
  return fmt::format("{}", fmt::join(terms, ", "));
}

/// The images that are not finite alone, or all of them where it takes several.
std::string guilty(Context& ctx, FasterRcnn& model, const TrainingBatch& batch,
                   const std::vector<std::string>& images) {
  std::vector<std::string> names;
  ctx.grad = false;
  for (size_t i = 0; i < images.size(); ++i) {
    const TrainingBatch one = one_of(batch, static_cast<int64_t>(i));
    if (!bad_terms(model.losses(ctx, one.images, one.truth)).empty()) names.push_back(images[i]);
  }
  return fmt::format("{}", fmt::join(names.empty() ? images : names, ", "));
}

}  // namespace

std::string explain_non_finite(Context& ctx, FasterRcnn& model, const TrainingBatch& batch, int64_t step,
                               const std::vector<std::string>& images) {
  const Kept kept(ctx, model);
  ctx.step.fill(static_cast<double>(step));
  const auto parameter = bad_parameter(model), input = bad_input(batch, images);
  std::string first = parameter ? *parameter : input ? *input : "";
  int64_t number = 0;
  ctx.watcher = [&](const char* layer, const Tensor& output) {
    ++number;
    if (!first.empty()) return;
    if (const auto bad = bad_value(output))
      first = fmt::format("the output of layer {}, {} {}, is the first to hold {}", number, layer,
                          output.shape().str(), *bad);
  };
  ctx.grad = ctx.training = true;
  const Losses losses = model.losses(ctx, batch.images, batch.truth);
  ctx.watcher = nullptr;
  const std::string terms = bad_terms(losses);
  if (first.empty()) {  // the way forward is finite: look at the way back
    backward(ctx, losses.total);
    for_each_parameter(model, [&](const std::string& name, Var& v) {
      if (!v.has_gradient()) return;
      if (const auto bad = bad_value(v.gradient()); bad && first.empty())
        first = fmt::format("the loss is finite, but the gradient of {} holds {}", name, *bad);
      v.clear_gradient();
    });
    return first.empty() ? "" : fmt::format("{}; images {}", first, fmt::join(images, ", "));
  }
  if (terms.empty()) return first;
  return fmt::format("{}; loss terms: {}; images: {}", first, terms, guilty(ctx, model, batch, images));
}

}  // namespace rcnn
