#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "cli/commands.h"
#include "cli/device.h"
#include "cli/truth.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/files/source_file.h"
#include "core/text.h"
#include "data/class_names.h"
#include "eval/coco_metrics.h"
#include "eval/columns.h"
#include "eval/comparison.h"
#include "eval/detect.h"
#include "eval/print.h"
#include "models/detector.h"
#include "report/comparison.h"

namespace rcnn {
namespace {

struct Options {
  std::string a, b, out, json, command_line;
  int workers = 2;
  bool force = false;
  TruthOptions truth;
  DeviceOptions device;
};

/// A or B: a model, or a file of detections.
struct Contender {
  std::string file;
  std::optional<Detector> model;
  Findings found = {};
};

/// Whether the file holds detections and not a model: text that begins as JSON does.
bool is_json(const std::string& file) {
  std::string start(16, '\0');
  start.resize(SourceFile(file).read_up_to(0, start.data(), start.size()));
  if (start.find('\0') != std::string::npos) return false;  // safetensors and zip have such bytes
  const size_t first = start.find_first_not_of(" \t\r\n");
  return lower_case(std::filesystem::path(file).extension().string()) == ".json" ||
         (first != std::string::npos && (start[first] == '[' || start[first] == '{'));
}

void check_outputs(const Options& options, const Dataset& data = {}) {
  OutputCheck check(options.force);
  for (const Sample& sample : data.samples) check.reads(sample.image);
  for (const std::string* input :
       {&options.a, &options.b, &options.truth.data, &options.truth.images, &options.device.plans})
    check.reads(*input);
  if (!options.out.empty()) check.writes("--out", options.out);
  if (!options.json.empty()) check.writes("--json", options.json);
}

Contender open(const std::string& file) {
  Contender contender{file, {}};
  if (is_json(file)) return contender;
  contender.model = load_model(file);
  if (!contender.model->note.empty()) fmt::print("{}\n", printable_lines(contender.model->note));
  return contender;
}

/// The ground truth with the data's own classes. A model needs the images, detections do not.
Truth read_data(const Options& options, bool with_images) {
  if (!with_images) {
    Truth truth = read_truth(options.truth);
    if (!options.out.empty()) find_images(truth);
    return truth;
  }
  const DataFolder folder = options.truth.reading.find(options.truth.data);
  const std::string split = choose_split(options.truth, folder);
  return {folder, read_split(folder, split), {}, split};
}

/// Reads the detections of a file. A file whose categories are none of the data's is refused.
void read_found(Contender& contender, const Options& options, Dataset& data) {
  contender.found.results = read_results(contender.file, options.truth.data, data);
  const std::vector<CocoResult>& results = contender.found.results;
  if (results.empty()) return;
  const auto known = [&](const CocoResult& result) {
    const auto& ids = data.category_ids;
    return ids.empty() || std::find(ids.begin(), ids.end(), result.category) != ids.end();
  };
  check_input(
      std::any_of(results.begin(), results.end(), known),
      "{}: its categories, the first of them {}, are none of those of {}, so there is nothing to compare.",
      contender.file, results.front().category, options.truth.data);
}

/// Restricts the truth to the classes that every model knows: of the others it could find nothing. Classes
/// keep their numbers.
void keep_common_classes(const std::vector<Contender*>& contenders, const Options& options, Truth& truth) {
  Dataset& data = truth.data;
  if (data.category_ids.empty()) {
    data.category_ids.resize(data.classes.size());
    std::iota(data.category_ids.begin(), data.category_ids.end(), 1);
  }
  std::vector<std::string> names, left_out;
  std::vector<int64_t> ids;
  std::vector<int> label_of(data.classes.size() + 1);  // 0: left out
  for (size_t c = 0; c < data.classes.size(); ++c) {
    const bool common = std::all_of(contenders.begin(), contenders.end(), [&](const Contender* contender) {
      if (!contender->model) return true;
      const auto& known = contender->model->classes;
      return std::find(known.begin(), known.end(), data.classes[c]) != known.end();
    });
    if (!common) {
      left_out.push_back(data.classes[c]);
      continue;
    }
    names.push_back(data.classes[c]);
    ids.push_back(data.category_ids[c]);
    label_of[c + 1] = static_cast<int>(names.size());
  }
  check_input(!names.empty(),
              "{} and {} have no class in common that {} has ({}), so there is nothing to compare.",
              options.a, options.b, options.truth.data, list_names(data.classes));
  if (left_out.empty()) return;
  fmt::print("{}", wrapped(fmt::format("compared on the classes that both models know; left out: {}",
                                       printable(list_names(left_out))),
                           ""));
  for (Sample& sample : data.samples) {
    for (Object& object : sample.objects) object.label = label_of[static_cast<size_t>(object.label)];
    std::erase_if(sample.objects, [](const Object& object) { return object.label == 0; });
  }
  data.classes = std::move(names);
  data.category_ids = std::move(ids);
}

/// Runs a model on the images. Faults of images that cannot be decoded are appended to `faults`. The `first`
/// model says where it runs.
void detect(Contender& contender, const Options& options, const Dataset& data, std::vector<Fault>& faults,
            bool first) {
  const auto ctx = options.device.make_context(contender.model->model->config);
  if (first) options.device.print_start();
  move_to(*contender.model->model, ctx->device);
  const auto found = detect_dataset(*ctx, *contender.model->model, data, options.workers, faults);
  std::map<std::string, int> labels;
  for (const std::string& name : data.classes) labels.emplace(name, static_cast<int>(labels.size()) + 1);
  for (Detection detection : found) {
    const auto label = labels.find(contender.model->classes.at(static_cast<size_t>(detection.label - 1)));
    if (label == labels.end()) continue;
    detection.label = label->second;
    contender.found.detections.push_back(detection);
  }
  contender.model.reset();  // the next one needs the memory
}

/// The detections of both on the chosen images, in the classes of the data.
void find_detections(const std::vector<Contender*>& contenders, const Options& options, Truth& truth) {
  Dataset& data = truth.data;
  std::vector<Fault> undecodable;  // the same for both models
  bool any_model = false;
  for (Contender* contender : contenders) {
    if (!contender->model) continue;
    undecodable.clear();
    detect(*contender, options, data, undecodable, !any_model);
    any_model = true;
  }
  data.faults.insert(data.faults.end(), undecodable.begin(), undecodable.end());
  ignore_undecodable(data, undecodable);
  if (any_model) truth.annotations = coco_annotations(data);
  const auto& ids = data.category_ids;
  const auto left_out = [&](const auto& entry) {
    return std::find(ids.begin(), ids.end(), entry.category) == ids.end();
  };
  std::erase_if(truth.annotations, left_out);
  for (Contender* contender : contenders) {
    Findings& found = contender->found;
    if (found.results.empty()) {
      found.results = coco_results(found.detections, data);
    } else {
      std::erase_if(found.results, left_out);
      found.detections = detections_of(found.results, data);
    }
  }
}

void show(const Options& options, const Truth& truth, const Comparison& comparison) {
  size_t objects = 0;
  for (const Sample& sample : truth.data.samples)
    for (const Object& object : sample.objects) objects += is_ignored(object) ? 0 : 1;
  const std::string images = fmt::format("{}{}, {}", truth.split.empty() ? "" : truth.split + ": ",
                                         counted(std::ssize(truth.data.samples), "image"),
                                         counted(static_cast<int64_t>(objects), "object"));
  fmt::print("A: {}\nB: {}\n{}\n\n{}", printable(options.a), printable(options.b), printable(images),
             comparison_text(comparison, truth.data));
  print_faults(truth.data.faults);
  KeepGoing writing;
  if (!options.json.empty())
    writing.run([&] {
      write_atomically(
          options.json,
          to_json(comparison, truth.data).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
              "\n");
    });
  if (!options.out.empty())
    writing.run([&] {
      ComparisonPage page;
      page.title = "Two detectors compared";
      page.subtitle = fmt::format("Compared by {}.", version_line());
      page.facts = {{"A", options.a}, {"B", options.b}, {"Data", options.truth.data}, {"Images", images}};
      page.verbatim_facts = {{"Command", options.command_line}};
      write_comparison(options.out, page, comparison, truth.data);
      fmt::print("report: {}\n", printable(options.out));
    });
  writing.finish();
}

void compare_files(const Options& options) {
  check_outputs(options);
  Contender a = open(options.a), b = open(options.b);
  const std::vector<Contender*> contenders = {&a, &b};
  Truth truth = read_data(options, a.model || b.model);
  check_outputs(options, truth.data);
  for (Contender* contender : contenders)
    if (contender->model)
      check_classes(contender->file, *contender->model, options.truth.data, truth.data.classes, "compare");
    else
      read_found(*contender, options, truth.data);
  const std::set<int64_t> chosen = keep_chosen(options.truth, truth);
  for (Contender* contender : contenders) keep_images(contender->found.results, chosen);
  keep_common_classes(contenders, options, truth);
  find_detections(contenders, options, truth);
  show(options, truth, compare(a.found, b.found, truth.data, truth.annotations));
  options.device.print_sync_report();
}

}  // namespace

void add_compare(CLI::App& program, const std::string& command_line) {
  auto options = std::make_shared<Options>();
  options->command_line = command_line;
  CLI::App* app = program.add_subcommand(
      "compare", "Which of two detectors is better on labelled images, and whether the images can tell");
  app->add_option("a", options->a, "trained model, or file of detections in COCO's results format")
      ->required()
      ->type_name("FILE");
  app->add_option("b", options->b, "the same, to compare with the first")->required()->type_name("FILE");
  options->truth.add(*app);
  app->add_option("--out", options->out,
                  "write a page (HTML) with the comparison and the images on which they differ to this file")
      ->type_name("FILE");
  app->add_option("--json", options->json, "write the comparison to this file, as JSON")->type_name("FILE");
  app->add_option("--workers", options->workers, "threads that load images [2]")->check(CLI::Range(0, 256));
  add_force(*app, options->force);
  options->truth.reading.add(*app);
  options->device.add(*app);
  app->callback([options] { compare_files(*options); });
}

}  // namespace rcnn
