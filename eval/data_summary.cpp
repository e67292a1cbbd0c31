#include "eval/data_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/log.h"
#include "core/text.h"
#include "eval/advice.h"
#include "eval/anchor_cover.h"
#include "eval/clusters.h"
#include "eval/columns.h"

namespace rcnn {
namespace {

std::string class_table(const DataSummary& summary) {
  constexpr size_t kMaxRows = 25, kMaxName = 32, kBar = 40;
  std::vector<const ClassCount*> order;
  for (const ClassCount& c : summary.classes) order.push_back(&c);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->boxes > b->boxes; });
  const size_t rows = order.size() <= kMaxRows ? order.size() : kMaxRows - 1;
  size_t name = 5;
  for (size_t i = 0; i < rows; ++i) name = std::max(name, columns_of(order[i]->name));
  name = std::min(name, kMaxName);
  std::string text = fmt::format("  {} {:>9} {:>9}\n", fit("class", name), "boxes", "images");
  const double max_boxes = order.empty() ? 1 : std::max(1.0, static_cast<double>(order[0]->boxes));
  for (size_t i = 0; i < rows; ++i) {
    const double share = static_cast<double>(order[i]->boxes) / max_boxes;
    const std::string bar(static_cast<size_t>(std::ceil(share * kBar)), '#');
    text += fmt::format("  {} {:>9} {:>9}{}{}\n", fit(order[i]->name, name), order[i]->boxes,
                        order[i]->images, bar.empty() ? "" : "  ", bar);
  }
  size_t boxes = 0;
  for (size_t i = rows; i < order.size(); ++i) boxes += order[i]->boxes;
  if (rows < order.size())
    text += fmt::format("  ... and {} more classes with {} boxes in total\n", order.size() - rows, boxes);
  return text;
}

/// The counts over a range of sizes, with four bars per octave: `4 px ▁▃█▅ 64 px`.
std::string histogram(const std::vector<float>& sizes) {
  constexpr const char* kBars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr int kBinsPerOctave = 4, kMaxBins = 60;
  const auto bin = [](float size) {
    return static_cast<int>(std::floor(std::log2(std::max(0.25f, size)) * kBinsPerOctave));
  };
  const auto edge = [](int index) { return std::exp2(static_cast<double>(index) / kBinsPerOctave); };
  const int first = bin(sizes.front()), last = std::min(bin(sizes.back()), first + kMaxBins - 1);
  std::vector<size_t> counts(static_cast<size_t>(last - first) + 1);
  for (const float size : sizes) ++counts[static_cast<size_t>(std::min(bin(size), last) - first)];
  const size_t max_count = *std::max_element(counts.begin(), counts.end());
  std::string bars;
  for (const size_t count : counts) bars += kBars[(count * 8 + max_count - 1) / max_count];
  return fmt::format("  {:.3g} px {} {:.3g} px\n", edge(first), bars, edge(last + 1));
}

std::string sizes_text(const DataSummary& summary) {
  std::string text = fmt::format(
      "  box size percentiles (square root of area) after resizing to a short side of {} pixels:\n  ",
      summary.short_side);
  for (const int percent : {5, 25, 50, 75, 95})
    text += fmt::format("{}{} %: {:.1f} px", percent == 5 ? "" : "   ", percent,
                        quantile(summary.sizes, percent / 100.0));
  return text + "\n" + histogram(summary.sizes);
}

template <class T>
void min_median_max(std::vector<T> values, T& min, T& median, T& max) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  min = values.front();
  median = values[values.size() / 2];
  max = values.back();
}

DataSummary summarise_as(SplitUse use, const Dataset& dataset, const std::string& split,
                         const ModelConfig& config, const std::vector<int64_t>& strides) {
  DataSummary summary;
  summary.split = split;
  summary.images = dataset.samples.size();
  for (const std::string& name : dataset.classes) summary.classes.push_back({name});
  std::vector<int> widths, heights;
  for (const Sample& sample : dataset.samples) {
    widths.push_back(sample.width);
    heights.push_back(sample.height);
    std::set<int> labels;
    for (const Object& object : sample.objects) {
      ++(is_ignored(object) ? summary.ignored : summary.boxes);
      if (is_ignored(object)) continue;
      labels.insert(object.label);
      ++summary.classes.at(static_cast<size_t>(object.label - 1)).boxes;
    }
    for (const int label : labels) ++summary.classes[static_cast<size_t>(label - 1)].images;
    if (sample.objects.empty()) ++summary.without_objects;
  }
  min_median_max(widths, summary.min_width, summary.median_width, summary.max_width);
  min_median_max(heights, summary.min_height, summary.median_height, summary.max_height);
  summary.short_side = config.short_side;
  summary.anchor_sizes = config.anchor_sizes;
  summary.sizes = box_sizes(dataset, config);
  summary.anchor_overlaps = anchor_overlaps(dataset, config, strides);
  summary.poorly_covered = poorly_covered(summary.anchor_overlaps);

  summary.advice = label_advice(dataset);
  for (std::string& sentence : class_advice(summary.classes, use))
    summary.advice.push_back(std::move(sentence));
  if (std::string sentence = coverage_advice(dataset, config, strides, summary.poorly_covered);
      !sentence.empty())
    summary.advice.push_back(std::move(sentence));
  return summary;
}

}  // namespace

DataSummary summarise(const Dataset& dataset, const std::string& split, const ModelConfig& config,
                      const std::vector<int64_t>& strides) {
  return summarise_as(SplitUse::training, dataset, split, config, strides);
}

DataSummary summarise_for_evaluation(const Dataset& dataset, const std::string& split,
                                     const ModelConfig& config, const std::vector<int64_t>& strides) {
  return summarise_as(SplitUse::evaluation, dataset, split, config, strides);
}

std::string summary_text(const DataSummary& summary) {
  const auto plural = [](size_t count) { return count == 1 ? "" : "s"; };
  std::string text =
      fmt::format("{}: {} image{}", summary.split.empty() ? "all images" : printable(summary.split),
                  summary.images, plural(summary.images));
  if (summary.without_objects > 0) text += fmt::format(", {} without objects", summary.without_objects);
  const std::string min = fmt::format("{} x {}", summary.min_width, summary.min_height);
  const std::string max = fmt::format("{} x {}", summary.max_width, summary.max_height);
  if (summary.images > 0)
    text += min == max ? fmt::format("; {} pixels", min)
                       : fmt::format("; {} to {} pixels, median {} x {}", min, max, summary.median_width,
                                     summary.median_height);
  text = wrapped(text, "");
  text += class_table(summary);
  text += fmt::format("  {} box{} in total", summary.boxes, summary.boxes == 1 ? "" : "es");
  if (summary.ignored > 0) text += fmt::format(", plus {} ignored (difficult or crowd)", summary.ignored);
  text += "\n";
  if (!summary.sizes.empty()) {
    text += sizes_text(summary);
    text += wrapped(
        fmt::format("anchor sizes {}: median best overlap (IoU) {:.2f}, below .5 for {:.1f} % of boxes",
                    format_value(summary.anchor_sizes), quantile(summary.anchor_overlaps, 0.5),
                    100 * summary.poorly_covered),
        "  ");
  }
  return text + advice_text(summary.advice);
}

std::string advice_text(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += wrapped(sentence, "  ! ");
  return text;
}

void print_summary(const DataSummary& summary) { print_log("{}", summary_text(summary)); }

}  // namespace rcnn
