#include "cli/truth.h"

#include <fmt/format.h>

#include <map>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/class_names.h"
#include "data/coco_places.h"
#include "eval/coco_metrics.h"

namespace rcnn {
namespace {

/// The COCO file of the split; empty if there is none.
std::filesystem::path find_coco_file(const DataFolder& folder, const std::string& split) {
  if (folder.form != "coco") return {};
  if (is_file(folder.root)) return split.empty() ? folder.root : "";
  const std::string usual = usual_split(split);
  for (const CocoPlace& place : find_coco_files(folder.root))
    if (place.split == (usual.empty() ? split : usual)) return place.file;
  return {};
}

}  // namespace

void TruthOptions::add(CLI::App& app) {
  app.add_option("--data", data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("PATH");
  app.add_option("--split", split, "split to evaluate on [test, or everything if the data has no splits]")
      ->type_name("TEXT");
  app.add_option(
         "--images", images,
         "evaluate on these images only: file with one name per line, such as splits/val.txt of a run")
      ->type_name("LIST");
}

std::string choose_split(const TruthOptions& options, const DataFolder& folder) {
  for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
  return !options.split.empty() || folder.splits.empty() ? options.split : "test";
}

Dataset choose_images(const TruthOptions& options, const DataFolder& folder, const Dataset& all) {
  if (options.images.empty()) {
    if (folder.splits.empty() && is_folder(folder.root))
      fmt::print(
          "{} has no splits: evaluating on {}; --images LIST selects some of them\n", options.data,
          all.samples.size() == 1 ? "its one image" : fmt::format("all its {} images", all.samples.size()));
    return all;
  }
  std::set<std::string> known;
  for (const Sample& sample : all.samples) known.insert(sample.id);
  std::vector<std::string> ids = read_id_list(options.images);
  for (std::string& id : ids)
    if (!known.contains(id)) {
      const std::string stem = std::filesystem::path(id).replace_extension().string();
      if (known.contains(stem)) id = stem;
    }
  std::set<std::string> listed;
  std::erase_if(ids, [&](const std::string& id) { return !listed.insert(id).second; });
  Dataset chosen = take_samples(all, ids, options.images);
  chosen.faults = all.faults;
  return chosen;
}

Truth read_truth(const TruthOptions& options) {
  const DataFolder folder = options.reading.find(options.data);
  const std::string split = choose_split(options, folder);
  const std::filesystem::path coco = find_coco_file(folder, split);
  if (!coco.empty()) {
    CocoFile file = read_coco_file(coco);
    return {folder, make_coco_dataset(file), std::move(file.annotations), split};
  }
  Truth truth{folder, read_split(folder, split), {}, split};
  truth.annotations = coco_annotations(truth.data);
  return truth;
}

void find_images(Truth& truth) {
  if (find_coco_file(truth.folder, truth.split).empty()) return;
  std::map<int64_t, std::filesystem::path> found;
  try {
    for (Sample& sample : read_split(truth.folder, truth.split).samples)
      if (sample.coco_id) found.emplace(*sample.coco_id, std::move(sample.image));
  } catch (const InputError&) {  // there are no images: the page has no pictures
    return;
  }
  for (Sample& sample : truth.data.samples)
    if (const auto path = found.find(sample.coco_id.value_or(-1)); path != found.end())
      sample.image = path->second;
}

std::vector<CocoResult> read_results(const std::string& file, const std::string& data, Dataset& dataset) {
  const CocoNumbers numbers = coco_numbers(dataset);
  std::vector<CocoResult> results = read_coco_results(file, numbers);
  std::set<int64_t> images;
  for (const auto& [name, number] : numbers.images) images.insert(number);
  for (const CocoResult& result : results)
    check_input(images.contains(result.image), "{} has a detection in the image {}, which {} lacks.", file,
                result.image, data);

  const std::set<int64_t> known(dataset.category_ids.begin(), dataset.category_ids.end());
  std::map<int64_t, int> unknown;
  for (const CocoResult& result : results)
    if (!known.empty() && !known.contains(result.category)) ++unknown[result.category];
  for (const auto& [category, count] : unknown)
    dataset.faults.push_back(
        {file, fmt::format("{} has {} detections of the category {}, which {} lacks; they are left out.",
                           file, count, category, data)});
  return results;
}

std::set<int64_t> keep_chosen(const TruthOptions& options, Truth& truth) {
  for (size_t i = 0; i < truth.data.samples.size(); ++i) {
    Sample& sample = truth.data.samples[i];
    sample.coco_id = sample.coco_id.value_or(static_cast<int64_t>(i));
  }
  truth.data = choose_images(options, truth.folder, truth.data);
  std::set<int64_t> chosen;
  for (const Sample& sample : truth.data.samples) chosen.insert(*sample.coco_id);
  std::erase_if(truth.annotations,
                [&](const CocoAnnotation& annotation) { return !chosen.contains(annotation.image); });
  return chosen;
}

void keep_images(std::vector<CocoResult>& results, const std::set<int64_t>& images) {
  std::erase_if(results, [&](const CocoResult& result) { return !images.contains(result.image); });
}

void check_classes(const std::string& model, const Detector& detector, const std::string& data,
                   const std::vector<std::string>& classes, std::string_view task) {
  const std::set<std::string> names(detector.classes.begin(), detector.classes.end());
  const bool knows = std::any_of(classes.begin(), classes.end(),
                                 [&](const std::string& name) { return names.contains(name); });
  check_input(classes.empty() || knows,
              "{}: the model's classes ({}) are none of those of {} ({}), so there is nothing to {}.", model,
              list_names(detector.classes), data, list_names(classes), task);
}

}  // namespace rcnn
