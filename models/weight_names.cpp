#include "models/weight_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "core/bf16.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

using Tensors = std::map<std::string, Tensor>;

/// Layers that a network of one kind has, without the prefix. `and_also`, if given, must be there too: a name
/// such as conv1.weight alone occurs in every block of a ResNet.
struct Landmark {
  std::string_view name, and_also;
};
// A detector comes before the classifier that is its backbone.
constexpr Landmark kLandmarks[] = {
    {"rpn.head.cls_logits.weight", ""},         // torchvision's detectors
    {"backbone.body.conv1.weight", ""},         //
    {"backbone.body.0.weight", ""},             //
    {"rpn_head.rpn_cls.weight", ""},            // mmdetection's
    {"neck.lateral_convs.0.conv.weight", ""},   //
    {"layer1.0.conv1.weight", "conv1.weight"},  // ResNets
    {"4.0.conv1.weight", "0.weight"},           // the same as a list of children
    {"features.0.weight", ""},                  // VGG
};

/// Whether a copy of a network is a moving average of another one, by its prefix.
bool is_average(std::string_view prefix) {
  for (const std::string_view word : {"encoder_k", "momentum", "target", "teacher", "ema"})
    if (prefix.find(word) != std::string_view::npos) return true;
  return false;
}

/// The prefix that all names have in addition to torchvision's; empty for none, or for unknown names.
std::string find_prefix(const Tensors& tensors) {
  for (const Landmark& landmark : kLandmarks) {
    std::string best;
    bool found = false;
    for (const auto& [name, tensor] : tensors) {
      if (!name.ends_with(landmark.name)) continue;
      const std::string prefix = name.substr(0, name.size() - landmark.name.size());
      if (!prefix.empty() && prefix.back() != '.') continue;
      if (!landmark.and_also.empty() && !tensors.contains(prefix + std::string(landmark.and_also))) continue;
      if (prefix.empty()) return {};
      if (!found || (is_average(best) && !is_average(prefix))) best = prefix;
      found = true;
    }
    if (found) return best;
  }
  return {};
}

using Rule = std::pair<std::string_view, std::string_view>;

/// The name with the first of the prefixes that it has replaced.
std::string replaced(const std::string& name, std::span<const Rule> rules) {
  for (const auto& [from, to] : rules)
    if (name.starts_with(from)) return std::string(to) + name.substr(from.size());
  return name;
}

constexpr Rule kMmdetection[] = {
    {"backbone.", "backbone.body."},
    {"neck.lateral_convs.0.conv.", "backbone.fpn.inner_blocks.0.0."},
    {"neck.lateral_convs.1.conv.", "backbone.fpn.inner_blocks.1.0."},
    {"neck.lateral_convs.2.conv.", "backbone.fpn.inner_blocks.2.0."},
    {"neck.lateral_convs.3.conv.", "backbone.fpn.inner_blocks.3.0."},
    {"neck.fpn_convs.0.conv.", "backbone.fpn.layer_blocks.0.0."},
    {"neck.fpn_convs.1.conv.", "backbone.fpn.layer_blocks.1.0."},
    {"neck.fpn_convs.2.conv.", "backbone.fpn.layer_blocks.2.0."},
    {"neck.fpn_convs.3.conv.", "backbone.fpn.layer_blocks.3.0."},
    {"rpn_head.rpn_conv.", "rpn.head.conv.0.0."},
    {"rpn_head.rpn_cls.", "rpn.head.cls_logits."},
    {"rpn_head.rpn_reg.", "rpn.head.bbox_pred."},
    {"roi_head.bbox_head.shared_fcs.0.", "roi_heads.box_head.fc6."},
    {"roi_head.bbox_head.shared_fcs.1.", "roi_heads.box_head.fc7."},
};
constexpr Rule kChildren[] = {{"0.", "conv1."},  {"1.", "bn1."},    {"4.", "layer1."},
                              {"5.", "layer2."}, {"6.", "layer3."}, {"7.", "layer4."}};

/// The present name of a layer that had another one in torchvision 0.12 and before, as in its public weights.
std::string present_name(const std::string& name) {
  if (name == "rpn.head.conv.weight" || name == "rpn.head.conv.bias")
    return "rpn.head.conv.0.0" + name.substr(name.rfind('.'));
  for (const std::string_view list : {"backbone.fpn.inner_blocks.", "backbone.fpn.layer_blocks."})
    if (name.starts_with(list) && std::count(name.begin(), name.end(), '.') == 4)
      return std::string(name).insert(name.rfind('.'), ".0");
  return name;
}

template <class F>
void rename(Tensors& tensors, F name_of) {
  Tensors renamed;
  for (const auto& [name, tensor] : tensors) renamed.emplace(name_of(name), tensor);
  tensors = std::move(renamed);
}

void remove_prefix(Tensors& tensors, NameChanges& changes) {
  changes.prefix = find_prefix(tensors);
  if (changes.prefix.empty()) return;
  Tensors kept;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(changes.prefix))
      kept.emplace(name.substr(changes.prefix.size()), tensor);
    else
      changes.left_out.push_back(name);
  }
  tensors = std::move(kept);
}

Tensor widened(const Tensor& tensor) {
  Tensor result = Tensor::empty(tensor.shape(), DType::f32);
  const auto* elements = static_cast<const bf16*>(tensor.raw());
  std::transform(elements, elements + tensor.numel(), result.mutable_data<float>(), to_float);
  return result;
}

void convert_to_f32(Tensors& tensors, NameChanges& changes) {
  std::set<std::string> types;
  for (auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::f64 && tensor.dtype() != DType::bf16) continue;
    types.insert(name_of(tensor.dtype()));
    tensor = tensor.dtype() == DType::bf16 ? widened(tensor) : tensor.cast(DType::f32);
  }
  changes.converted.assign(types.begin(), types.end());
}

struct OtherModel {
  std::string_view part;  // of a name
  const char* what;
};
// The first that fits counts.
constexpr OtherModel kOtherModels[] = {
    {"head.regression_head.bbox_ctrness", "torchvision's FCOS"},
    {"head.classification_head.module_list", "torchvision's SSD"},
    {"head.classification_head.", "torchvision's RetinaNet"},
    {"backbone.body.0.0.weight", "torchvision's Faster R-CNN on a MobileNet"},
    {"roi_heads.box_head.0.0.weight", "torchvision's fasterrcnn_resnet50_fpn_v2"},
    {"proposal_generator.", "a detector of Detectron2"},
    {"backbone.bottom_up.", "a detector of Detectron2"},
    {"RCNN_rpn.", "a detector of faster-rcnn.pytorch"},
    {"rpn_head.rpn_cls.", "a detector of mmdetection"},
    {"bbox_head.", "a detector of mmdetection"},
    {"transformer.encoder.layers.", "a DETR"},
    {"model.decoder.layers.", "a DETR"},
    {"model.0.conv.weight", "a YOLO"},
    {"backbone.conv_stem.", "an EfficientDet"},
};

std::string name_other_model(const Tensors& tensors) {
  for (const OtherModel& other : kOtherModels)
    for (const auto& [name, tensor] : tensors)
      if (name.find(other.part) != std::string::npos) return other.what;
  return {};
}

}  // namespace

std::vector<std::string> NameChanges::lines() const {
  std::vector<std::string> lines;
  if (!prefix.empty())
    lines.push_back(fmt::format("the prefix {} of its names was removed", in_quotes(prefix)));
  if (!left_out.empty()) lines.push_back("not used, without that prefix: " + first_names(left_out));
  if (mmdetection)
    lines.emplace_back(
        "its names are mmdetection's; its outputs for the classes are in another order and "
        "are not used");
  if (!converted.empty())
    lines.push_back(fmt::format("converted from {} to f32", fmt::join(converted, " and ")));
  return lines;
}

NameChanges to_torchvision_names(std::map<std::string, Tensor>& tensors) {
  NameChanges changes;
  changes.other_model = name_other_model(tensors);
  std::erase_if(tensors, [](const auto& entry) { return entry.first.ends_with(".num_batches_tracked"); });
  remove_prefix(tensors, changes);
  changes.mmdetection =
      tensors.contains("rpn_head.rpn_cls.weight") || tensors.contains("neck.lateral_convs.0.conv.weight");
  if (changes.mmdetection) rename(tensors, [](const auto& name) { return replaced(name, kMmdetection); });
  if (tensors.contains("4.0.conv1.weight") && tensors.contains("0.weight"))
    rename(tensors, [](const auto& name) { return replaced(name, kChildren); });
  changes.old = tensors.contains("rpn.head.conv.weight");
  rename(tensors, present_name);
  convert_to_f32(tensors, changes);
  return changes;
}

std::string first_names(const std::vector<std::string>& names, size_t max_names) {
  std::vector<std::string> first;
  for (size_t i = 0; i < std::min(max_names, names.size()); ++i) {
    const std::string quoted = in_quotes(names[i]);
    first.push_back(quoted.substr(1, quoted.size() - 2));
  }
  return fmt::format("{}{}", fmt::join(first, ", "),
                     names.size() > max_names ? fmt::format(" and {} more", names.size() - max_names) : "");
}

std::vector<std::string> names_of(const std::map<std::string, Tensor>& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

}  // namespace rcnn
