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

/// The names in entries that separate them by commas. What is no known name stays a name of its own.
std::vector<std::string> names_in(const std::vector<std::string>& entries,
                                  const std::vector<std::string>& known) {
  std::vector<std::string> names;
  for (const std::string& entry : entries)
    for (size_t begin = 0; begin <= entry.size();) {
      size_t end = entry.size();  // of the longest known name that begins here
      while (end > begin && !holds(known, entry.substr(begin, end - begin))) {
        const size_t comma = entry.rfind(',', end - 1);
        end = comma == std::string::npos || comma < begin ? begin : comma;
      }
      if (end == begin) end = std::min(entry.find(',', begin), entry.size());
      if (end > begin || entry.empty()) names.push_back(entry.substr(begin, end - begin));
      begin = end + 1;
    }
  return names;
}

void keep_splits(std::vector<DataPart>& parts, const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  std::vector<std::string> existing, names;
  for (const DataPart& part : parts)
    if (!part.split.empty()) existing.push_back(part.split);
  for (const std::string& name : names_in(entries, existing)) {
    names.push_back(usual_split(name).empty() ? name : usual_split(name));
    check_input(holds(existing, names.back()), "The data has no split '{}'; {}.", name,
                existing.empty() ? "its images are not divided into splits"
                                 : fmt::format("it has {}", fmt::join(existing, ", ")));
  }
  std::erase_if(parts, [&](const DataPart& part) { return !holds(names, part.split); });
}

/// The new label of each class, from 1; 0 for one that is left out.
std::vector<int> new_labels(const std::vector<std::string>& classes, const FilterOptions& options) {
  const std::vector<std::string> wanted = names_in(options.classes, classes),
                                 dropped = names_in(options.drop_classes, classes);
  for (const std::vector<std::string>* names : {&wanted, &dropped})
    for (const std::string& name : *names)
      check_input(holds(classes, name), "The data has no class '{}'; it has {}.", name,
                  fmt::join(classes, ", "));
  std::vector<int> labels;
  int next = 0;
  for (const std::string& name : classes) {
    const bool keep = (wanted.empty() || holds(wanted, name)) && !holds(dropped, name);
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
