#include "eval/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/class_names.h"
#include "eval/anchor_cover.h"
#include "eval/clusters.h"

namespace rcnn {
namespace {

constexpr size_t kFewBoxes = 20;
constexpr size_t kOutnumbered = 50;
constexpr double kMaxUncovered = 0.1;

/// The names of the classes, with their box counts if asked for. A long list is cut short.
std::string class_list(const std::vector<const ClassCount*>& classes, bool with_counts) {
  constexpr size_t kMaxNames = 8;
  std::string text;
  for (size_t i = 0; i < std::min(kMaxNames, classes.size()); ++i) {
    text += (i == 0 ? "" : ", ") + classes[i]->name;
    if (with_counts) text += fmt::format(" ({})", classes[i]->boxes);
  }
  if (classes.size() > kMaxNames) text += fmt::format(" and {} more", classes.size() - kMaxNames);
  return text;
}

/// "cat (6 boxes) and Cat (1 box)" for each group of classes with similar names. A long list is cut short.
std::string similar_classes(const std::vector<ClassCount>& classes) {
  constexpr size_t kMaxGroups = 4;
  std::vector<std::string> names;
  for (const ClassCount& c : classes) names.push_back(c.name);
  const std::vector<std::vector<size_t>> groups = similar_names(names);
  std::string text;
  for (size_t g = 0; g < std::min(kMaxGroups, groups.size()); ++g) {
    text += g == 0 ? "" : "; ";
    for (size_t i = 0; i < groups[g].size(); ++i) {
      const ClassCount& c = classes[groups[g][i]];
      text += fmt::format("{}{} ({} box{})",
                          i == 0                      ? ""
                          : i + 1 == groups[g].size() ? " and "
                                                      : ", ",
                          c.name, c.boxes, c.boxes == 1 ? "" : "es");
    }
  }
  if (groups.size() > kMaxGroups) text += fmt::format("; and {} more groups", groups.size() - kMaxGroups);
  return text;
}

/// Aspect ratios (height / width) that suit the boxes, as many as the model has: k-means of their logarithms.
Levels suited_ratios(const Dataset& dataset, const ModelConfig& config) {
  constexpr size_t kMaxValues = 1000;
  std::vector<float> logs;
  for (const Sample& sample : dataset.samples)
    for (const auto& [box, label] : input_boxes(sample, config))
      logs.push_back(std::log((box.y2 - box.y1) / (box.x2 - box.x1)));
  std::sort(logs.begin(), logs.end());
  std::vector<double> values;
  const size_t count = std::min(kMaxValues, logs.size());
  for (size_t i = 0; i < count; ++i)
    values.push_back(quantile(logs, (static_cast<double>(i) + 0.5) / static_cast<double>(count)));
  const std::vector<double> weights(count, 1.0);
  const std::vector<Bounds> bounds(anchor_ratios(config).size(), Bounds{-10, 10});
  Levels ratios(1);
  for (const double centre : cluster(values, weights, bounds)) {
    if (std::isnan(centre)) continue;
    const auto ratio = static_cast<float>(std::max(0.01, std::round(std::exp(centre) * 100) / 100));
    if (ratios[0].empty() || ratio > ratios[0].back()) ratios[0].push_back(ratio);
  }
  return ratios;
}

}  // namespace

Sentences class_advice(const std::vector<ClassCount>& classes, SplitUse use) {
  const bool learns = use == SplitUse::training;
  std::vector<const ClassCount*> absent, few, outnumbered;
  const ClassCount* largest = nullptr;
  for (const ClassCount& c : classes)
    if (!largest || c.boxes > largest->boxes) largest = &c;
  if (!largest || largest->boxes == 0)
    return {learns ? "The dataset contains no objects to learn from."
                   : "The split contains no objects, so a model cannot be evaluated on it."};
  for (const ClassCount& c : classes) {
    if (c.boxes == 0)
      absent.push_back(&c);
    else if (c.boxes < kFewBoxes)
      few.push_back(&c);
    else if (c.boxes * kOutnumbered <= largest->boxes)
      outnumbered.push_back(&c);
  }
  Sentences advice;
  if (!absent.empty())
    advice.push_back(
        learns ? fmt::format("These classes have no objects and cannot be learned: {}. Check whether the "
                             "annotations spell them differently, or remove them from the list of classes.",
                             class_list(absent, false))
               : fmt::format("These classes have no objects in this split, so their average precision is "
                             "unknown: {}. Move images of them here, as `rcnn data split` does.",
                             class_list(absent, false)));
  if (!few.empty())
    advice.push_back(
        fmt::format("These classes have fewer than {} boxes: {}. {}", kFewBoxes, class_list(few, true),
                    learns ? "That is hardly enough to learn from; label more of them."
                           : "Their average precision depends on a few objects; move more images of them "
                             "into this split."));
  if (learns && !outnumbered.empty())
    advice.push_back(
        fmt::format("The classes are imbalanced: {} has {} boxes, at least {} times as many as {}. The rarer "
                    "classes may be learned late or not at all; add more images of them.",
                    largest->name, largest->boxes, kOutnumbered, class_list(outnumbered, true)));
  if (const std::string similar = similar_classes(classes); !similar.empty())
    advice.push_back(
        fmt::format("The names of these classes differ only in capitals, spaces, - or _, and each is learned "
                    "as a class of its own: {}. If they are one class, give it one name in the annotations.",
                    similar));
  return advice;
}

std::string no_evaluation_advice() {
  return "No image is set aside to evaluate a model on: there is neither a validation nor a test split, so "
         "nothing tells how good the model is. Divide the images with `rcnn data split`, or name a split "
         "with `rcnn train --val`.";
}

std::string coverage_advice(const Dataset& dataset, const ModelConfig& config,
                            const std::vector<int64_t>& strides, double poorly_covered) {
  if (!(poorly_covered > kMaxUncovered)) return {};
  // The effect of each setting is measured. Settings that cost more time come later and are suggested only if
  // the earlier ones do not suffice.
  struct Remedy {
    std::string text;
    ModelConfig config;
  };
  std::vector<Remedy> remedies;
  ModelConfig trial = config;
  suit_to_data(trial, dataset, strides, {.short_side = false, .anchor_sizes = true});
  remedies.push_back({fmt::format("--anchor-sizes '{}'", format_value(trial.anchor_sizes)), trial});
  trial = config;
  trial.anchor_ratios = suited_ratios(dataset, config);
  remedies.push_back({fmt::format("--anchor-ratios {}", format_value(trial.anchor_ratios)), trial});
  trial = config;
  suit_to_data(trial, dataset, strides, {.short_side = true, .anchor_sizes = true});
  if (trial.short_side != config.short_side)
    remedies.push_back({fmt::format("--short-side {} --long-side {} --anchor-sizes '{}'", trial.short_side,
                                    trial.long_side, format_value(trial.anchor_sizes)),
                        trial});
  const Remedy* best = nullptr;
  double left = poorly_covered;
  for (const Remedy& remedy : remedies) {
    if (best && left <= kMaxUncovered) break;
    const double now_left = rcnn::poorly_covered(anchor_overlaps(dataset, remedy.config, strides));
    if (!(now_left < 0.9 * left)) continue;
    best = &remedy;
    left = now_left;
  }
  const std::string found =
      fmt::format("{:.1f} % of the boxes overlap no anchor by an IoU of .5 or more and are hard to learn",
                  100 * poorly_covered);
  if (best) return fmt::format("{}: {} would reduce this to {:.1f} %.", found, best->text, 100 * left);
  return found + ": add --anchor-sizes to each level or add --anchor-ratios to cover more sizes and shapes.";
}

std::string learning_rate_advice(double learning_rate, int64_t images_per_step, bool clips) {
  // The linear scaling rule (Goyal et al., "Accurate, large minibatch SGD"), applied to rates that are known
  // to train: torchvision's .02 for 16 images, and here .02 for 4, or .04 with gradients clipped to 5. The
  // limit is twice the rate that trains here, 8 times torchvision's; with clipping it is four times higher.
  constexpr double kPerImage = 0.005;
  const auto images = static_cast<double>(images_per_step);
  const double limit = std::min(1.0, (clips ? 8 : 2) * kPerImage * images);
  if (learning_rate <= limit * 1.001) return {};
  return fmt::format(
      "A learning rate of {:.4g} is high for {} image{} per step: the losses may become infinite or stop "
      "decreasing. Try --lr {:.2g}.",
      learning_rate, images_per_step, images_per_step == 1 ? "" : "s", std::min(0.32, kPerImage * images));
}

}  // namespace rcnn
