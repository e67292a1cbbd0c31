#include "models/inferred.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace rcnn {
namespace {

using Tensors = std::map<std::string, Tensor>;

const std::string kBody = "backbone.body.", kHead = "roi_heads.box_head.",
                  kScores = "roi_heads.box_predictor.cls_score.weight",
                  kBoxes = "roi_heads.box_predictor.bbox_pred.weight";

constexpr double kPyramidChannels = 256;
// A file may claim any number, and the outputs of the model are made before its tensors are compared.
constexpr int64_t kMaxClasses = 10'000;

bool has(const Tensors& tensors, const std::string& prefix) {
  const auto found = tensors.lower_bound(prefix);
  return found != tensors.end() && found->first.starts_with(prefix);
}

/// The number of blocks in layer1 to layer4, as "3463".
std::string blocks_of(const Tensors& tensors, const std::string& body) {
  std::string blocks;
  for (int layer = 1; layer <= 4; ++layer) {
    int count = 0;
    while (has(tensors, fmt::format("{}layer{}.{}.", body, layer, count))) ++count;
    if (count > 0) blocks += fmt::format("{}{}", blocks.empty() ? "" : ",", count);
  }
  return blocks;
}

struct Depth {
  const char* blocks;
  bool bottleneck;
  int layers;
};
constexpr Depth kDepths[] = {
    {"2,2,2,2", false, 18}, {"3,4,6,3", false, 34}, {"3,4,6,3", true, 50}, {"3,4,23,3", true, 101}};

/// The depth of the ResNet whose first three or four stages begin with `body`; 0 for others.
int resnet_layers(const Tensors& tensors, const std::string& body) {
  const std::string blocks = blocks_of(tensors, body);
  const bool bottleneck = tensors.contains(body + "layer1.0.conv3.weight");
  const auto* found = std::find_if(std::begin(kDepths), std::end(kDepths), [&](const Depth& depth) {
    const std::string all = depth.blocks;
    return depth.bottleneck == bottleneck && (blocks == all || blocks == all.substr(0, all.rfind(',')));
  });
  return found == std::end(kDepths) ? 0 : found->layers;
}

/// The part of a name that comes before its layer: "roi_heads.mask_head".
std::string branch_of(const std::string& name) { return name.substr(0, name.find('.', name.find('.') + 1)); }

/// Removes the branches for masks and keypoints of a detector that finds boxes like a Faster R-CNN.
std::string remove_branches(Tensors& tensors) {
  std::string removed;
  for (auto it = tensors.begin(); it != tensors.end();) {
    if (!it->first.starts_with("roi_heads.mask_") && !it->first.starts_with("roi_heads.keypoint_")) {
      ++it;
      continue;
    }
    const std::string branch = branch_of(it->first);
    if (removed.find(branch) == std::string::npos) removed += (removed.empty() ? "" : ", ") + branch;
    it = tensors.erase(it);
  }
  return removed;
}

/// What the file is instead of one of this program's detectors.
std::string what_it_is(const Tensors& tensors, const NameChanges& changes) {
  if (changes.mmdetection)
    return "is a detector of mmdetection, which pools features with another alignment than this program; "
           "`rcnn train --weights` can start from it";
  if (!changes.other_model.empty())
    return fmt::format(
        "is {}, which this program does not have; expected a Faster R-CNN with torchvision's names",
        changes.other_model);
  if (const std::string model = guess_model(tensors); !model.empty() && !has(tensors, "rpn."))
    return fmt::format(
        "is an image classifier or a backbone, and not a detector; `rcnn train --model {} "
        "--weights` starts a detector from it",
        model);
  return fmt::format(
      "is not a detector that this program knows: it has {}; expected a checkpoint written by "
      "rcnn, or torchvision's names: backbone.body.conv1.weight, rpn.head.cls_logits.weight, {}",
      tensors.empty() ? "no tensors" : first_names(names_of(tensors)), kScores);
}

}  // namespace

std::string guess_model(const std::map<std::string, Tensor>& tensors) {
  const std::string body = has(tensors, kBody) ? kBody : "";
  const int layers = resnet_layers(tensors, body);
  const bool vgg = tensors.contains(body.empty() ? "features.28.weight" : body + "28.weight");
  if (vgg) return "vgg16";
  if (layers == 0) return {};
  const char* form = has(tensors, "backbone.fpn.") || body.empty() ? "fpn"
                     : has(tensors, body + "layer4.")              ? "dc5"
                                                                   : "c4";
  return fmt::format("resnet{}-{}", layers, form);
}

InferredDetector infer_detector(const std::string& file, std::map<std::string, Tensor>& tensors,
                                const NameChanges& changes) {
  const std::string model = has(tensors, kBody) ? guess_model(tensors) : "";
  const auto scores = tensors.find(kScores), boxes = tensors.find(kBoxes);
  const bool known =
      !model.empty() && has(tensors, "rpn.head.") && scores != tensors.end() && boxes != tensors.end() &&
      scores->second.shape().rank() == 2 && scores->second.numel() > 0 && scores->second.dim(0) >= 2 &&
      scores->second.dim(0) <= kMaxClasses && !changes.mmdetection && changes.other_model.empty();
  if (!known) throw InputError(fmt::format("{} {}.", file, what_it_is(tensors, changes)));

  InferredDetector inferred;
  ModelConfig& config = inferred.config;
  config = model_config(model);
  inferred.classes = scores->second.dim(0) - 1;
  inferred.not_used = remove_branches(tensors);
  config.box_class_agnostic = boxes->second.shape().rank() > 0 && boxes->second.dim(0) == 4;
  const bool normalised = has(tensors, kBody + "bn1.");
  if (model != "vgg16") config.norm = normalised ? "frozen" : "folded";
  if (changes.old) config.norm_eps = 0;
  if (has(tensors, kHead + "layer4.")) {
    config.box_head = "layer4";
  } else if (const auto fc6 = tensors.find(kHead + "fc6.weight");
             fc6 != tensors.end() && fc6->second.numel() > 0 && fc6->second.shape().rank() == 2) {
    config.box_head = "two-fc";
    config.box_head_size = fc6->second.dim(0);
    if (model.ends_with("-fpn"))
      config.box_pool_size = std::max<int64_t>(
          1, std::lround(std::sqrt(static_cast<double>(fc6->second.dim(1)) / kPyramidChannels)));
  }
  return inferred;
}

}  // namespace rcnn
