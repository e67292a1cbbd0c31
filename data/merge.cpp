#include "data/merge.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "data/class_names.h"
#include "data/coco_places.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_divided(const MergeSource& source) {
  return std::any_of(source.parts.begin(), source.parts.end(),
                     [](const DataPart& part) { return !part.split.empty(); });
}

void name_unnamed(std::vector<MergeSource>& sources, const std::string& default_split) {
  const auto divided = std::find_if(sources.begin(), sources.end(), is_divided);
  if (default_split.empty() && divided == sources.end()) return;
  for (MergeSource& source : sources) {
    if (is_divided(source)) continue;
    check_input(
        !default_split.empty(),
        "{} is not divided into splits, but {} is; --default-split says to which split the images of data "
        "without splits go, and `rcnn data split` divides them.",
        source.name, divided->name);
    const std::string usual = usual_split(default_split);
    for (DataPart& part : source.parts) part.split = usual.empty() ? default_split : usual;
  }
}

std::vector<std::string> join_classes(const std::vector<MergeSource>& sources) {
  std::vector<std::string> classes;
  std::set<std::string> known;
  for (const MergeSource& source : sources)
    for (const std::string& name : source.parts.front().data.classes)
      if (known.insert(name).second) classes.push_back(name);
  return classes;
}

/// COCO's numbers of the classes. None if some class has no number, or if a class has two numbers, or a
/// number two classes.
std::vector<int64_t> join_numbers(const std::vector<MergeSource>& sources,
                                  const std::vector<std::string>& classes) {
  std::map<std::string, int64_t> number_of;
  std::map<int64_t, std::string> class_of;
  for (const MergeSource& source : sources) {
    const Dataset& data = source.parts.front().data;
    if (data.category_ids.size() != data.classes.size()) return {};
    for (size_t i = 0; i < data.classes.size(); ++i) {
      if (number_of.emplace(data.classes[i], data.category_ids[i]).first->second != data.category_ids[i] ||
          class_of.emplace(data.category_ids[i], data.classes[i]).first->second != data.classes[i])
        return {};
    }
  }
  std::vector<int64_t> numbers;
  for (const std::string& name : classes) numbers.push_back(number_of.at(name));
  return numbers;
}

std::vector<std::vector<std::string>> find_similar(const std::vector<std::string>& classes) {
  std::vector<std::vector<std::string>> similar;
  for (const std::vector<size_t>& positions : similar_names(classes)) {
    similar.emplace_back();
    for (const size_t position : positions) similar.back().push_back(classes[position]);
  }
  return similar;
}

/// Puts the splits together.
class Merger {
 public:
  Merger(std::vector<std::string> classes, std::vector<int64_t> numbers)
      : classes_(std::move(classes)), numbers_(std::move(numbers)) {
    for (size_t i = 0; i < classes_.size(); ++i) label_of_.emplace(classes_[i], static_cast<int>(i) + 1);
  }

  /// `content` has a number for each image of the source, in order: the same for the same bytes.
  void add(MergeSource& source, const size_t* content) {
    std::map<size_t, std::vector<Place>> own;
    std::set<fs::path> joined;
    for (DataPart& part : source.parts)
      for (Sample& sample : part.data.samples) {
        for (Object& object : sample.objects)
          object.label = label_of_.at(part.data.classes.at(static_cast<size_t>(object.label - 1)));
        const auto earlier = places_.find(*content);
        if (earlier == places_.end()) {
          Dataset& to = split(part.split);
          own[*content].push_back({part.split, to.samples.size()});
          to.samples.push_back(std::move(sample));
        } else if (joined.insert(sample.image).second) {  // once, if it is in several splits
          join(sample, part.split, earlier->second);
        }
        ++content;
      }
    for (auto& [number, places] : own) places_.emplace(number, std::move(places));
    for (DataPart& part : source.parts) {
      std::vector<Fault>& faults = split(part.split).faults;
      faults.insert(faults.end(), part.data.faults.begin(), part.data.faults.end());
    }
  }

  Merged finish() {
    // A split all of whose images an earlier data set has in another split is left out, but not its faults.
    std::vector<Fault> faults;
    for (auto& [order, data] : splits_)
      if (data.samples.empty())
        faults.insert(faults.end(), data.faults.begin(), data.faults.end());
      else
        merged_.parts.push_back({order.second, std::move(data)});
    if (!merged_.parts.empty()) {
      std::vector<Fault>& first = merged_.parts.front().data.faults;
      first.insert(first.end(), faults.begin(), faults.end());
    }
    return std::move(merged_);
  }

 private:
  struct Place {
    std::string split;
    size_t index;
  };

  Dataset& split(const std::string& name) {
    const int rank = name == "train" ? 0 : name == "val" ? 1 : name == "test" ? 2 : 3;
    return splits_.try_emplace(std::pair(rank, name), Dataset{classes_, {}, {}, numbers_}).first->second;
  }

  void join(const Sample& sample, const std::string& its_split, const std::vector<Place>& places) {
    ++merged_.joined;
    if (std::none_of(places.begin(), places.end(), [&](const Place& p) { return p.split == its_split; }))
      ++merged_.moved;
    // An object that one of several equal images has is known: copies in one data set stay as they are.
    std::vector<Object> added;
    for (const Object& object : sample.objects) {
      bool known = false;
      for (const Place& place : places)
        for (Object& other : split(place.split).samples.at(place.index).objects) {
          if (!is_same(object, other)) continue;
          known = true;
          // What one of the two counts is not ignored.
          if (is_ignored(other) && !is_ignored(object)) other.difficult = other.crowd = false;
        }
      if (known)
        ++merged_.repeated_objects;
      else
        added.push_back(object);
    }
    for (const Place& place : places) {
      std::vector<Object>& objects = split(place.split).samples.at(place.index).objects;
      objects.insert(objects.end(), added.begin(), added.end());
    }
  }

  std::vector<std::string> classes_;
  std::vector<int64_t> numbers_;
  std::map<std::string, int> label_of_;
  std::map<std::pair<int, std::string>, Dataset> splits_;
  std::map<size_t, std::vector<Place>> places_;  // of the images of earlier data sets, by their content
  Merged merged_;
};

}  // namespace

Merged merge_parts(std::vector<MergeSource> sources, const std::string& default_split) {
  name_unnamed(sources, default_split);
  const std::vector<std::string> classes = join_classes(sources);
  std::vector<fs::path> files;
  for (const MergeSource& source : sources)
    for (const DataPart& part : source.parts)
      for (const Sample& sample : part.data.samples) files.push_back(sample.image);
  const std::vector<size_t> content = find_same_files(files);

  Merger merger(classes, join_numbers(sources, classes));
  const size_t* next = content.data();
  for (MergeSource& source : sources) {
    size_t images = 0;
    for (const DataPart& part : source.parts) images += part.data.samples.size();
    merger.add(source, next);
    next += images;
  }
  Merged merged = merger.finish();
  merged.similar_classes = find_similar(classes);
  return merged;
}

}  // namespace rcnn
