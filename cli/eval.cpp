#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/device.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/text.h"
#include "data/coco.h"
#include "data/coco_places.h"
#include "data/folder.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "eval/diagnosis.h"
#include "eval/print.h"
#include "eval/proposals.h"
#include "models/detector.h"

namespace rcnn {
namespace {

struct Options {
  std::string weights, classes, detections, data, split, images, out, json, proposals, model_out;
  int workers = 2;
  bool force = false;
  DataOptions reading;
  DeviceOptions device;
};

/// Checks that the outputs destroy nothing: no file that the options name, and none of the images of `data`,
/// which may lie anywhere.
void check_outputs(const Options& options, const Dataset& data = {}) {
  OutputCheck check(options.force);
  for (const Sample& sample : data.samples) check.reads(sample.image);
  for (const std::string* input : {&options.weights, &options.classes, &options.detections, &options.data,
                                   &options.images, &options.proposals})
    check.reads(*input);
  if (!options.out.empty()) check.writes("--out", options.out);
  if (!options.json.empty()) check.writes("--json", options.json);
  if (!options.model_out.empty()) check.writes("--model-out", options.model_out);
}

/// The ground truth. Annotations in a COCO file are kept as doubles, so that the figures are those of COCO's
/// tools.
struct Truth {
  DataFolder folder;
  Dataset data;
  std::vector<CocoAnnotation> annotations;
  std::string split;
};

struct Result {
  VocResult voc;
  CocoScores coco;
};

/// The split asked for; by default test, or everything if the data has no splits.
std::string choose_split(const Options& options, const DataFolder& folder) {
  for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
  return !options.split.empty() || folder.splits.empty() ? options.split : "test";
}

/// The images of the list --images, which names them by id, with or without an extension. Without a list
/// these are all images; for a folder without splits a line says so, because the model may have been trained
/// on some of them.
Dataset choose_images(const Options& options, const DataFolder& folder, const Dataset& all) {
  if (options.images.empty()) {
    if (folder.splits.empty() && is_folder(folder.root))
      fmt::print("{} has no splits: evaluating on all its {} images; --images LIST selects some of them\n",
                 options.data, all.samples.size());
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

/// The COCO file of the split; empty if there is none.
std::filesystem::path find_coco_file(const DataFolder& folder, const std::string& split) {
  if (folder.form != "coco") return {};
  if (is_file(folder.root)) return split.empty() ? folder.root : "";
  const std::string usual = usual_split(split);
  for (const CocoPlace& place : find_coco_files(folder.root))
    if (place.split == (usual.empty() ? split : usual)) return place.file;
  return {};
}

/// Reads the ground truth alone: the images of a COCO file need not exist.
Truth read_truth(const Options& options) {
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

/// Reads --detections. Those in categories that the data lacks are left out and reported as a fault. An image
/// that the data lacks is an error, because the file must belong to other data.
std::vector<CocoResult> read_results(const Options& options, Dataset& data) {
  const CocoNumbers numbers = coco_numbers(data);
  std::vector<CocoResult> results = read_coco_results(options.detections, numbers);
  std::set<int64_t> images;
  for (const auto& [name, number] : numbers.images) images.insert(number);
  for (const CocoResult& result : results)
    check_input(images.contains(result.image), "{} has a detection in the image {}, which {} lacks.",
                options.detections, result.image, options.data);

  const std::set<int64_t> known(data.category_ids.begin(), data.category_ids.end());
  std::map<int64_t, int> unknown;
  for (const CocoResult& result : results)
    if (!known.empty() && !known.contains(result.category)) ++unknown[result.category];
  for (const auto& [category, count] : unknown)
    data.faults.push_back(
        {options.detections,
         fmt::format("{} has {} detections of the category {}, which {} lacks; they are left out.",
                     options.detections, count, category, options.data)});
  return results;
}

/// Restricts `truth` and `results` to the chosen images, which keep their numbers.
void keep_chosen(const Options& options, Truth& truth, std::vector<CocoResult>& results) {
  for (size_t i = 0; i < truth.data.samples.size(); ++i) {
    Sample& sample = truth.data.samples[i];
    sample.coco_id = sample.coco_id.value_or(static_cast<int64_t>(i));
  }
  truth.data = choose_images(options, truth.folder, truth.data);
  std::set<int64_t> chosen;
  for (const Sample& sample : truth.data.samples) chosen.insert(*sample.coco_id);
  const auto is_other = [&](const auto& entry) { return !chosen.contains(entry.image); };
  std::erase_if(truth.annotations, is_other);
  std::erase_if(results, is_other);
}

nlohmann::ordered_json as_json(const CocoFigures& figures) {
  nlohmann::ordered_json json;
  for (const CocoFigureName& figure : kCocoFigures) json[figure.key] = figures.*figure.value;
  return json;
}

/// Writes the result for programs. The keys are those of summary.json, and COCO's.
void write_json(const std::filesystem::path& path, const Result& result, const Dataset& data) {
  nlohmann::ordered_json json;
  json["info"] = kWrittenHere;
  json.update(as_json(result.coco.mean));
  json["map50"] = result.voc.map_area;
  json["map50_voc07"] = result.voc.map_11point;
  for (size_t i = 0; i < data.classes.size(); ++i) {
    const ClassResult& voc = result.voc.classes[i];
    if (voc.truths == 0) continue;
    json["ap50"][voc.name] = voc.ap_area;
    json["ap50_voc07"][voc.name] = voc.ap_11point;
    const auto number = data.category_ids.empty() ? static_cast<int64_t>(i) + 1 : data.category_ids[i];
    json["by_class"][voc.name] = as_json(result.coco.by_category.at(number));
  }
  write_atomically(path, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

/// Prints the figures, then writes both files: what can be written is, whatever becomes of the rest.
void show(
    const Options& options, const std::string& split, const Result& result, const Dataset& data,
    const std::function<void()>& write_found = [] {}) {
  print_ap_table(result.voc, split.empty() ? "class" : split);
  fmt::print("COCO's figures\n{}\n", coco_table(result.coco.mean));
  print_faults(data.faults);
  KeepGoing writing;
  writing.run(write_found);
  if (!options.json.empty()) writing.run([&] { write_json(options.json, result, data); });
  writing.finish();
}

void evaluate_detections(const Options& options) {
  Truth truth = read_truth(options);
  check_outputs(options, truth.data);
  std::vector<CocoResult> results = read_results(options, truth.data);
  keep_chosen(options, truth, results);
  const VocResult voc = evaluate_voc(detections_of(results, truth.data), truth.data);
  show(options, truth.split, {voc, evaluate_coco(truth.annotations, results)}, truth.data);
}

/// A model that knows none of the data's classes would be reported as one that finds nothing.
void check_classes(const Options& options, const Detector& detector, const Dataset& known,
                   const DataFolder& folder, const std::string& split) {
  if (count_boxes(known) > 0) return;
  const Dataset own = read_split(folder, split);
  if (own.classes.empty()) return;
  const std::set<std::string> names(detector.classes.begin(), detector.classes.end());
  for (const std::string& name : own.classes)
    if (names.contains(name)) return;
  const auto first = [](const std::vector<std::string>& all) {
    constexpr size_t kShown = 5;
    const auto shown = std::span(all).first(std::min(kShown, all.size()));
    return fmt::format("{}{}", fmt::join(shown, ", "), all.size() > kShown ? ", ..." : "");
  };
  throw InputError(fmt::format(
      "--weights {}: the model's classes ({}) are none of those of {} ({}), so there is nothing to evaluate.",
      options.weights, first(detector.classes), options.data, first(own.classes)));
}

void evaluate_weights(const Options& options) {
  Detector detector = load_model(options.weights, options.classes);
  if (!detector.note.empty()) fmt::print("{}\n", printable_lines(detector.note));
  const auto ctx = options.device.make_context(detector.model->config);
  const DataFolder folder = options.reading.find(options.data);
  const std::string split = choose_split(options, folder);
  Dataset all = read_split(folder, split, detector.classes);
  check_outputs(options, all);
  check_classes(options, detector, all, folder, split);
  if (!options.proposals.empty()) read_proposals(options.proposals, all);
  Dataset data = choose_images(options, folder, all);
  data.name = split;
  move_to(*detector.model, ctx->device);
  options.device.print_start();
  const auto found = detect_dataset(*ctx, *detector.model, data, options.workers, data.faults);
  ignore_undecodable(data, data.faults);
  const auto write_found = [&] {
    if (!options.out.empty())
      write_detections(options.out, found, data.samples, detector.classes, data.category_ids);
    if (options.model_out.empty()) return;
    detector.confidence = recommended_confidence(diagnose(found, {}, data));
    save_model(options.model_out, detector);
    fmt::print("{}: the model with the recommended confidence threshold of each class\n", options.model_out);
  };
  show(options, split, {evaluate_voc(found, data), evaluate_coco(found, data)}, data, write_found);
  options.device.print_sync_report();
}

}  // namespace

void add_eval(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand(
      "eval", "Average precision of a trained detector, or of a file of detections, on labelled images");
  app->add_option("--weights", options->weights, "trained model (best.safetensors), or torchvision's .pth")
      ->type_name("FILE");
  app->add_option("--classes", options->classes,
                  "names of the model's classes, one per line [the model's own, or COCO's]")
      ->type_name("FILE");
  app->add_option("--detections", options->detections,
                  "instead of a model: file of detections in COCO's results format, from any program")
      ->type_name("FILE");
  app->add_option("--data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("PATH");
  app->add_option("--split", options->split,
                  "split to evaluate on [test, or everything if the data has no splits]")
      ->type_name("TEXT");
  app->add_option(
         "--images", options->images,
         "evaluate on these images only: file with one name per line, such as splits/val.txt of a run")
      ->type_name("LIST");
  app->add_option("--out", options->out,
                  "write the model's detections to this file, in COCO's results format")
      ->type_name("FILE");
  app->add_option(
         "--proposals", options->proposals,
         "use the proposals in this file, in COCO's results format, instead of those of the model's RPN")
      ->type_name("FILE");
  app->add_option("--model-out", options->model_out,
                  "write the model to this safetensors file, with the recommended confidence threshold of "
                  "each class on these images, for detect")
      ->type_name("FILE");
  app->add_option("--json", options->json, "write the figures to this file, as JSON")->type_name("FILE");
  app->add_option("--workers", options->workers, "threads that load images [2]")->check(CLI::Range(0, 256));
  add_force(*app, options->force);
  options->reading.add(*app);
  options->device.add(*app);
  app->callback([options] {
    check_input(
        options->weights.empty() != options->detections.empty(),
        "eval takes either --weights, a trained model, or --detections, a file of detections; found {}.",
        options->weights.empty() ? "neither" : "both");
    check_input(options->detections.empty() || options->out.empty(),
                "--out writes the detections of a model; with --detections there is no model.");
    check_input(options->detections.empty() || options->proposals.empty(),
                "--proposals are for a model; with --detections there is no model.");
    check_input(options->detections.empty() || options->model_out.empty(),
                "--model-out writes a model; with --detections there is none.");
    check_input(options->detections.empty() || options->classes.empty(),
                "--classes are those of a model; with --detections there is no model.");
    check_outputs(*options);
    if (options->weights.empty())
      evaluate_detections(*options);
    else
      evaluate_weights(*options);
  });
}

}  // namespace rcnn
