#include "data/filter.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/coco_places.h"

namespace rcnn {
namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void keep_splits(std::vector<DataPart>& parts, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return;
  std::vector<std::string> existing, names;
  for (const DataPart& part : parts)
    if (!part.split.empty()) existing.push_back(part.split);
  for (const std::string& name : wanted) {
    names.push_back(usual_split(name).empty() ? name : usual_split(name));
    check_input(holds(existing, names.back()), "The data has no split '{}'; {}.", name,
                existing.empty() ? "its images are not divided into splits"
                                 : fmt::format("it has {}", fmt::join(existing, ", ")));
  }
  std::erase_if(parts, [&](const DataPart& part) { return !holds(names, part.split); });
}

/// The new label of each class, from 1; 0 for one that is left out.
std::vector<int> new_labels(const std::vector<std::string>& classes, const FilterOptions& options) {
  for (const std::vector<std::string>* names : {&options.classes, &options.drop_classes})
    for (const std::string& name : *names)
      check_input(holds(classes, name), "The data has no class '{}'; it has {}.", name,
                  fmt::join(classes, ", "));
  std::vector<int> labels;
  int next = 0;
  for (const std::string& name : classes) {
    const bool keep =
        (options.classes.empty() || holds(options.classes, name)) && !holds(options.drop_classes, name);
    labels.push_back(keep ? ++next : 0);
  }
  check_input(next > 0, "No class is left: the options leave out {}.", fmt::join(classes, ", "));
  return labels;
}

void keep_classes(Dataset& data, const std::vector<int>& labels) {
  Dataset kept;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == 0) continue;
    kept.classes.push_back(data.classes[i]);
    if (!data.category_ids.empty()) kept.category_ids.push_back(data.category_ids.at(i));
  }
  data.classes = std::move(kept.classes);
  data.category_ids = std::move(kept.category_ids);
}

bool is_small(const Box& box, const FilterOptions& options) {
  const double width = double{box.x2} - double{box.x1}, height = double{box.y2} - double{box.y1};
  return !(std::min(width, height) >= options.min_side && width * height >= options.min_area);
}

}  // namespace

Filtered filter_parts(std::vector<DataPart> parts, const FilterOptions& options) {
  Filtered filtered;
  keep_splits(parts, options.splits);
  const std::vector<int> labels = new_labels(parts.front().data.classes, options);
  for (DataPart& part : parts) {
    filtered.images += part.data.samples.size();
    keep_classes(part.data, labels);
    for (Sample& sample : part.data.samples) {
      for (Object& object : sample.objects) object.label = labels.at(static_cast<size_t>(object.label - 1));
      std::erase_if(sample.objects, [&](const Object& object) {
        size_t* reason = object.label == 0                            ? &filtered.other_classes
                         : options.drop_ignored && is_ignored(object) ? &filtered.ignored
                         : is_small(object.box, options)              ? &filtered.small
                                                                      : nullptr;
        if (reason) ++*reason;
        return reason != nullptr;
      });
    }
    if (options.images_with_objects)
      std::erase_if(part.data.samples, [](const Sample& sample) { return sample.objects.empty(); });
    if (part.data.samples.empty()) filtered.emptied.push_back(part.split);
  }
  std::erase_if(parts, [](const DataPart& part) { return part.data.samples.empty(); });
  check_input(!parts.empty(), "No image is left: none has an object that fits the options.");
  filtered.parts = std::move(parts);
  return filtered;
}

}  // namespace rcnn
