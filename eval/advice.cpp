#include "eval/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/anchor_cover.h"
#include "eval/clusters.h"

namespace rcnn {
namespace {

constexpr size_t kFewBoxes = 20;
constexpr size_t kOutnumbered = 50;
constexpr double kMostUncovered = 0.1;

/// The classes' names, with counts if wanted, of many the first few.
std::string class_list(const std::vector<const ClassCount*>& classes, bool with_counts) {
  constexpr size_t kMost = 8;
  std::string text;
  for (size_t i = 0; i < std::min(kMost, classes.size()); ++i) {
    text += (i == 0 ? "" : ", ") + classes[i]->name;
    if (with_counts) text += fmt::format(" ({})", classes[i]->boxes);
  }
  if (classes.size() > kMost) text += fmt::format(" and {} more", classes.size() - kMost);
  return text;
}

/// As many shapes (height / width) as the model has, to suit the boxes: k-means of their logarithms.
Levels suited_ratios(const Dataset& dataset, const ModelConfig& config) {
  constexpr size_t kMost = 1000;
  std::vector<float> logs;
  for (const Sample& sample : dataset.samples)
    for (const auto& [box, label] : input_boxes(sample, config))
      logs.push_back(std::log((box.y2 - box.y1) / (box.x2 - box.x1)));
  std::sort(logs.begin(), logs.end());
  std::vector<double> values;
  const size_t count = std::min(kMost, logs.size());
  for (size_t i = 0; i < count; ++i)
    values.push_back(quantile(logs, (static_cast<double>(i) + 0.5) / static_cast<double>(count)));
  const std::vector<double> weights(count, 1.0);
  const std::vector<Bounds> bounds(config.anchor_ratios.at(0).size(), Bounds{-10, 10});
  Levels ratios(1);
  for (const double centre : cluster(values, weights, bounds)) {
    if (std::isnan(centre)) continue;
    const auto ratio = static_cast<float>(std::max(0.01, std::round(std::exp(centre) * 100) / 100));
    if (ratios[0].empty() || ratio > ratios[0].back()) ratios[0].push_back(ratio);
  }
  return ratios;
}

}  // namespace

Sentences class_advice(const std::vector<ClassCount>& classes) {
  std::vector<const ClassCount*> absent, few, outnumbered;
  const ClassCount* most = nullptr;
  for (const ClassCount& c : classes)
    if (!most || c.boxes > most->boxes) most = &c;
  if (!most || most->boxes == 0) return {"There is no object at all to learn from."};
  for (const ClassCount& c : classes) {
    if (c.boxes == 0)
      absent.push_back(&c);
    else if (c.boxes < kFewBoxes)
      few.push_back(&c);
    else if (c.boxes * kOutnumbered <= most->boxes)
      outnumbered.push_back(&c);
  }
  Sentences advice;
  if (!absent.empty())
    advice.push_back(
        fmt::format("Classes of the list without an object, which cannot be learned: {}. Look for another "
                    "spelling in the annotations, or take them off the list.",
                    class_list(absent, false)));
  if (!few.empty())
    advice.push_back(
        fmt::format("Classes with fewer than {} boxes: {}. So few are hardly learned, and say "
                    "little in a test; label more of them.",
                    kFewBoxes, class_list(few, true)));
  if (!outnumbered.empty())
    advice.push_back(
        fmt::format("The class {} has {} boxes, at least {} times as many as: {}. These may be learned late "
                    "or not at all; more images of them help.",
                    most->name, most->boxes, kOutnumbered, class_list(outnumbered, true)));
  return advice;
}

std::string coverage_advice(const Dataset& dataset, const ModelConfig& config,
                            const std::vector<int64_t>& strides, double poorly_covered) {
  if (!(poorly_covered > kMostUncovered)) return {};
  // What each setting would leave is measured. A setting of more effect on time comes later and is named only
  // where those before do not suffice.
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
    if (best && left <= kMostUncovered) break;
    const double now_left = rcnn::poorly_covered(anchor_overlaps(dataset, remedy.config, strides));
    if (!(now_left < 0.9 * left)) continue;
    best = &remedy;
    left = now_left;
  }
  const std::string found =
      fmt::format("{:.1f} % of the boxes overlap no anchor by half (IoU below .5) and are hard to learn",
                  100 * poorly_covered);
  if (best) return fmt::format("{}: {} would leave {:.1f} %.", found, best->text, 100 * left);
  return found + ": more --anchor-sizes a level, or more --anchor-ratios, cover more sizes and shapes.";
}

std::string learning_rate_advice(double learning_rate, int64_t images_a_step, bool clips) {
  // By the linear scaling rule (Goyal et al., "Accurate, large minibatch SGD"), from what is known to train:
  // torchvision's .02 for 16 images, and here .02 for 4, or .04 with gradients clipped to 5. The limit is
  // twice the rate that trains here, 8 times torchvision's; clipping bears four times as much.
  constexpr double kAnImage = 0.005;
  const auto images = static_cast<double>(images_a_step);
  const double limit = std::min(1.0, (clips ? 8 : 2) * kAnImage * images);
  if (learning_rate <= limit * 1.001) return {};
  return fmt::format(
      "A learning rate of {:.4g} is large for {} image{} a step: the losses may become infinite or stay "
      "where "
      "they are. --lr {:.2g} suits.",
      learning_rate, images_a_step, images_a_step == 1 ? "" : "s", std::min(0.32, kAnImage * images));
}

}  // namespace rcnn
