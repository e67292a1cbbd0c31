#include "models/pretrained.h"

#include <algorithm>
#include <functional>
#include <set>

#include "models/inferred.h"
#include "models/weight_names.h"
#include "models/weights.h"

namespace rcnn {
namespace {

using Tensors = std::map<std::string, Tensor>;

const std::string kBody = "backbone.body.", kLayer4 = "roi_heads.box_head.layer4.",
                  kOutputs = "roi_heads.box_predictor.";

/// Calls `f(name, tensor, pooled)` for every parameter and buffer of a model.
template <class F>
void for_each_tensor(FasterRcnn& model, F f) {
  visit_module(
      model,
      [&](const std::string& name, Var& value, const Shape& pooled) { f(name, value.value(), pooled); },
      [&](const std::string& name, Tensor& value) { f(name, value, Shape{}); });
}

/// The stage of the backbone that a tensor belongs to: 1 is the stem, 2 is layer1, and so on; 0 if it
/// belongs to another part of the model.
int64_t stage_of(const FasterRcnn& model, std::string_view name) {
  return name.starts_with(kBody) ? model.backbone->stage_of(name.substr(kBody.size())) : 0;
}

/// Gives an image classifier's tensors the detector's names and drops its outputs. False for other files.
bool rename_classifier(const FasterRcnn& model, Tensors& tensors) {
  const bool vgg = tensors.contains("features.0.weight");
  if (!vgg && !tensors.contains("conv1.weight")) return false;
  // Prefixes of the classifier's names and what replaces them; the first that fits counts.
  std::vector<std::pair<std::string, std::string>> head = {{"features.", kBody},
                                                           {"classifier.0.", "roi_heads.box_head.fc6."},
                                                           {"classifier.3.", "roi_heads.box_head.fc7."}};
  if (!vgg) head.clear();
  if (model.config.box_head == "layer4") head.emplace_back("layer4.", kLayer4);
  if (!vgg) head.emplace_back("", kBody);
  Tensors renamed;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with("fc.") || name.starts_with("classifier.6.")) continue;
    const auto rule = std::find_if(head.begin(), head.end(),
                                   [&](const auto& entry) { return name.starts_with(entry.first); });
    renamed[rule == head.end() ? name : rule->second + name.substr(rule->first.size())] = tensor;
  }
  tensors = renamed;
  return true;
}

/// Replaces the bias of a convolution with a normalisation that does nothing but add it.
void unfold(Tensors& tensors, const std::string& conv_bias, const NormNames& norm, float eps) {
  add_shifting_norm(tensors, norm, tensors.at(conv_bias), eps);
  tensors.erase(conv_bias);
}

/// Folds a normalisation into the filter (K, C, R, S) and the bias of the convolution before it.
void fold(Tensors& tensors, const std::string& conv, const NormNames& norm, float eps) {
  Tensor& filter = tensors.at(conv + ".weight");
  BatchNorm parameters;
  parameters.weight = tensors.at(norm.weight);
  parameters.bias = tensors.at(norm.bias);
  parameters.running_mean = tensors.at(norm.mean);
  parameters.running_var = tensors.at(norm.variance);
  parameters.eps = eps;
  Context ctx;
  const FoldedBatchNorm folded = fold_batch_norm(ctx, parameters);
  filter = filter.clone();
  const int64_t channels = folded.scale.numel(), size = filter.numel() / channels;
  for (int64_t i = 0; i < filter.numel(); ++i)
    filter.mutable_data<float>()[i] *= folded.scale.data<float>()[i / size];
  tensors[conv + ".bias"] = folded.shift;
  for (const std::string& name : {norm.weight, norm.bias, norm.mean, norm.variance}) tensors.erase(name);
}

/// For each row of the model's class outputs, the row of the file's to copy; -1 keeps the initial value.
std::vector<int64_t> rows_by_name(const std::vector<std::string>& classes,
                                  const std::vector<std::string>& in_file) {
  std::vector<int64_t> rows{0};  // the background
  for (const std::string& name : classes) {
    const auto found = std::find(in_file.begin(), in_file.end(), name);
    rows.push_back(found == in_file.end() ? -1 : found - in_file.begin() + 1);
  }
  return rows;
}

/// Copies groups of rows from `source` to `target`, both (classes x group, ...), one group per class.
void copy_rows(const Tensor& source, const Tensor& target, const std::vector<int64_t>& rows,
               int64_t classes_in_file) {
  const int64_t from_size = source.numel() / classes_in_file;
  const Tensor merged = target.to(Device{}).clone();
  for (size_t row = 0; row < rows.size(); ++row)
    if (rows[row] >= 0)
      std::copy_n(source.data<float>() + rows[row] * from_size, from_size,
                  merged.mutable_data<float>() + static_cast<int64_t>(row) * from_size);
  target.copy_from(merged.to(target.device()));
}

/// The part of the model that a tensor belongs to, for the report: "rpn", or "backbone.body.layer1".
std::string part_of(const std::string& name) {
  const int dots = name.starts_with(kBody) ? 3 : name.starts_with("backbone.") ? 2 : 1;
  size_t end = 0;
  for (int i = 0; i < dots && end != std::string::npos; ++i) end = name.find('.', end + (i > 0));
  return name.substr(0, end);
}

std::string list_parts(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, int>> parts;
  for (const std::string& name : names) {
    if (parts.empty() || parts.back().first != part_of(name)) parts.emplace_back(part_of(name), 0);
    ++parts.back().second;
  }
  std::string text;
  for (const auto& [part, count] : parts)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", part, count);
  return text;
}

/// Throws InputError if the file cannot be used for this model.
void check_use(const FasterRcnn& model, const WeightsReport& report, size_t taken_in_body,
               const std::vector<std::string>& in_file, const std::string& looks_like) {
  std::vector<std::string> expected;
  for (const std::string& name : report.missing)
    if (name.starts_with(kBody)) expected.push_back(name);
  const auto sentence = [&] {
    std::string text = fmt::format(
        "{}: none of its tensors fits the backbone of {}: {} missing, {} of another shape, {} unknown",
        report.file, model.config.backbone, report.missing.size(), report.other_shape.size(),
        report.unexpected.size());
    text +=
        report.other_shape.empty()
            ? fmt::format("; it has {}; expected {}, or the same without {} for an image classifier",
                          in_file.empty() ? "no tensors" : first_names(in_file), first_names(expected), kBody)
            : fmt::format(" ({})", first_names(report.other_shape));
    if (!looks_like.empty() && looks_like != model.config.backbone)
      text += fmt::format(". The file looks like --model {}", looks_like);
    return text;
  };
  if (taken_in_body == 0) throw InputError(sentence());
  for (const auto* names : {&report.missing, &report.other_shape})
    for (const std::string& name : *names) {
      const int64_t stage = stage_of(model, name);
      check_input(stage == 0 || stage > model.config.frozen_stages,
                  "{}: none of its tensors fits {}, which would be frozen at random values: expected "
                  "--frozen-stages {} or fewer",
                  report.file, name, stage - 1);
    }
}

}  // namespace

void fit_norms(FasterRcnn& model, Tensors& tensors, const std::string& file) {
  std::set<std::string> wanted;
  for_each_tensor(model, [&](const std::string& name, const Tensor&, const Shape&) { wanted.insert(name); });
  for_each_tensor(model, [&](const std::string& name, const Tensor& target, const Shape&) {
    if (!may_be_normalised(name, target.shape())) return;
    const std::string conv = name.substr(0, name.size() - std::string_view(".weight").size());
    const std::string bias = conv + ".bias";
    const NormNames norm(conv);
    const Shape channels{target.dim(0)};
    const auto fits = [&](const std::string& vector) {
      const auto found = tensors.find(vector);
      return found != tensors.end() && found->second.shape() == channels &&
             found->second.dtype() == DType::f32;
    };
    if (wanted.contains(norm.weight) && fits(bias) && !tensors.contains(norm.weight)) {
      check_input(
          model.config.norm == "frozen",
          "{}: its batch normalisation is folded into the convolutions ('{}' is present, '{}' is missing); "
          "--norm {} needs a file that still has it: use --norm frozen or folded",
          file, bias, norm.weight, model.config.norm);
      unfold(tensors, bias, norm, model.config.norm_eps);
    } else if (wanted.contains(bias) && !tensors.contains(bias) && fits(norm.weight) && fits(norm.bias) &&
               fits(norm.mean) && fits(norm.variance) && tensors.contains(name) &&
               tensors.at(name).shape() == file_shape(target.shape()) &&
               tensors.at(name).dtype() == DType::f32) {
      fold(tensors, conv, norm, model.config.norm_eps);
    }
  });
}

WeightsReport start_from_weights(FasterRcnn& model, const std::vector<std::string>& classes, WeightsFile file,
                                 bool keep_classes) {
  WeightsReport report;
  report.file = file.name;
  report.frozen_stages = model.config.frozen_stages;
  Tensors& tensors = file.tensors;
  const std::vector<std::string> in_file = names_of(tensors);
  report.changes = to_torchvision_names(tensors).lines();
  const std::string looks_like = guess_model(tensors);
  report.classifier = rename_classifier(model, tensors);
  fit_norms(model, tensors, file.name);

  const auto scores = tensors.find(kOutputs + "cls_score.bias");
  const int64_t classes_in_file = scores == tensors.end() ? 0 : scores->second.numel();
  const bool known = !file.classes.empty();
  check_input(!known || classes_in_file == 0 || classes_in_file == std::ssize(file.classes) + 1,
              "{}: has {} rows of class scores for {} classes and the background", file.name, classes_in_file,
              file.classes.size());
  check_input(!keep_classes || (known && classes_in_file > 0),
              "{}: --keep-classes needs a detector's file with the names of its classes", file.name);
  report.other_classes =
      classes_in_file > 0 && (known ? file.classes != classes : classes_in_file != model.classes);
  const std::vector<int64_t> rows = rows_by_name(classes, file.classes);
  if (report.other_classes && keep_classes)
    for (size_t i = 0; i < classes.size(); ++i)
      if (rows[i + 1] >= 0) report.kept_classes.push_back(classes[i]);

  std::vector<std::function<void()>> copies;
  size_t taken_in_body = 0;
  for_each_tensor(model, [&](const std::string& name, const Tensor& target, const Shape& pooled) {
    ++report.tensors;
    const auto found = tensors.find(name);
    if (found == tensors.end()) return report.missing.push_back(name);
    const Tensor source = found->second;
    tensors.erase(found);
    const bool by_row = report.other_classes && name.starts_with(kOutputs);
    if (by_row && !keep_classes) return;
    // Outputs that are taken row by row need rows of the same size.
    const Shape expected = file_shape(target.shape());
    const bool fits = by_row ? source.numel() % classes_in_file == 0 &&
                                   source.shape().rank() == expected.rank() &&
                                   source.numel() / classes_in_file == expected.numel() / model.classes
                             : source.shape() == expected;
    if (!fits || source.dtype() != target.dtype())
      return report.other_shape.push_back(fmt::format("{} {} {}, expected {} {}", name,
                                                      name_of(source.dtype()), source.shape().str(),
                                                      name_of(target.dtype()), expected.str()));
    if (by_row) {
      copies.push_back([=] { copy_rows(source, target, rows, classes_in_file); });
      return;
    }
    ++report.taken;
    taken_in_body += stage_of(model, name) > 0;
    copies.push_back(
        [=] { target.copy_from(from_file_layout(source, target.shape(), pooled).to(target.device())); });
  });
  for (const auto& [name, tensor] : tensors) report.unexpected.push_back(name);
  check_use(model, report, taken_in_body, in_file, looks_like);
  for (const auto& copy : copies) copy();
  freeze_stages(model, model.config.frozen_stages);
  return report;
}

std::string WeightsReport::text() const {
  std::string text = fmt::format("{}: {} of the model's {} tensors{}", file, taken, tensors,
                                 classifier ? ", from an image classifier as the backbone" : "");
  if (frozen_stages > 0)
    text += fmt::format("; frozen: the stem{}",
                        frozen_stages == 1   ? std::string()
                        : frozen_stages == 2 ? " and layer1"
                                             : fmt::format(" and layer1 to layer{}", frozen_stages - 1));
  for (const std::string& change : changes) text += "\n  " + change;
  if (!missing.empty()) text += "\n  not in the file, initialised at random: " + list_parts(missing);
  if (!other_shape.empty())
    text += "\n  of another shape, initialised at random: " + first_names(other_shape);
  if (!unexpected.empty()) text += "\n  not used: " + first_names(unexpected);
  if (other_classes)
    text += kept_classes.empty()
                ? "\n  other classes: the outputs for class and box are initialised at random"
                : fmt::format(
                      "\n  other classes: the outputs for class and box are kept for {}, the "
                      "others are initialised at random",
                      first_names(kept_classes));
  return text;
}

void freeze_stages(FasterRcnn& model, int64_t stages) {
  for_each_parameter(model, [&](const std::string& name, Var& value) {
    const int64_t stage = stage_of(model, name);
    if (stage > 0 && stage <= stages) value = value.detach();
  });
}

void freeze_backbone(FasterRcnn& model) {
  for_each_parameter(model, [&](const std::string& name, Var& value) {
    if (name.starts_with("backbone.")) value = value.detach();
  });
}

std::string start_from_scratch(ModelConfig& config) {
  const bool frozen_norm = config.norm == "frozen";
  if (!frozen_norm && config.frozen_stages == 0) return {};
  const bool by_group = frozen_norm && config.box_head == "layer4";  // see Layer4Head
  if (frozen_norm) config.norm = by_group ? "group" : "batch";
  config.frozen_stages = 0;
  return "without --weights nothing is frozen" +
         std::string(by_group      ? ", and group normalisation is used instead"
                     : frozen_norm ? ", and batch normalisation is trained"
                                   : "");
}

}  // namespace rcnn
