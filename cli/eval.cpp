#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/device.h"
#include "cli/eval_report.h"
#include "cli/ranks.h"
#include "cli/truth.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/text.h"
#include "core/world/device.h"
#include "data/folder.h"
#include "eval/advice.h"
#include "eval/biography.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "eval/diagnosis.h"
#include "eval/print.h"
#include "eval/proposals.h"
#include "models/detector.h"
#include "train/agreement.h"

namespace rcnn {
namespace {

struct Options {
  std::string weights, classes, detections, out, json, report, proposals, model_out, command_line;
  int workers = 2;
  bool force = false;
  double rank_timeout = World::Watch{}.seconds;
  std::string rendezvous;
  TruthOptions truth;
  DeviceOptions device;
};

/// Checks that the outputs destroy nothing: no file that the options name, and none of the images of `data`,
/// which may lie anywhere.
void check_outputs(const Options& options, const Dataset& data = {}) {
  OutputCheck check(options.force);
  for (const Sample& sample : data.samples) check.reads(sample.image);
  for (const std::string* input :
       {&options.weights, &options.classes, &options.detections, &options.truth.data, &options.truth.images,
        &options.proposals, &options.device.plans})
    check.reads(*input);
  if (!options.out.empty()) check.writes("--out", options.out);
  if (!options.json.empty()) check.writes("--json", options.json);
  if (!options.report.empty()) check.writes("--report", options.report);
  if (!options.model_out.empty()) check.writes("--model-out", options.model_out);
}

struct Result {
  VocResult voc;
  CocoScores coco;
};

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
  json["unreadable_images"] = count_unreadable(data.faults);
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
  Truth truth = read_truth(options.truth);
  if (!options.report.empty()) find_images(truth);
  check_outputs(options, truth.data);
  std::vector<CocoResult> results = read_results(options.detections, options.truth.data, truth.data);
  keep_images(results, keep_chosen(options.truth, truth));
  const std::vector<Detection> found = detections_of(results, truth.data);
  const Result result{evaluate_voc(found, truth.data), evaluate_coco(truth.annotations, results)};
  show(options, truth.split, result, truth.data, [&] {
    if (options.report.empty()) return;
    EvalReport report{.of = options.detections,
                      .data = options.truth.data,
                      .split = truth.split,
                      .command_line = options.command_line,
                      .list = options.truth.images};
    report.facts = {{"Detections", options.detections}};
    write_eval_report(options.report, report, truth.data, result.voc, result.coco.mean,
                      diagnose(found, {}, truth.data));
  });
}

/// The facts of a model, and of the data as the model sees it.
EvalReport describe_model(const Options& options, const ModelConfig& config, const Dataset& data) {
  EvalReport report{.of = config.backbone,
                    .data = options.truth.data,
                    .split = data.name,
                    .command_line = options.command_line,
                    .list = options.truth.images};
  report.facts = {{"Model", options.weights}};
  if (!options.proposals.empty()) report.facts.emplace_back("Proposals", options.proposals);
  report.weights = options.weights;
  const std::vector<int64_t> strides = level_strides(config);
  DataSummary summary = summarise(data, data.name.empty() ? "all images" : data.name, config, strides);
  // Without the advice on what can be learned from the data, which are not trained on.
  summary.advice = label_advice(data);
  summary.advice.push_back(coverage_advice(data, config, strides, summary.poorly_covered));
  std::erase(summary.advice, "");
  report.summary = std::move(summary);
  return report;
}

void evaluate_weights(const Options& options, World& world) {
  Detector detector = load_model(options.weights, options.classes);
  if (!detector.note.empty()) fmt::print("{}\n", printable_lines(detector.note));
  const auto ctx = options.device.make_context(detector.model->config);
  const DataFolder folder = options.truth.reading.find(options.truth.data);
  const std::string split = choose_split(options.truth, folder);
  Dataset all = read_split(folder, split, detector.classes);
  check_outputs(options, all);
  if (count_boxes(all) == 0)
    check_classes("--weights " + options.weights, detector, options.truth.data,
                  read_split(folder, split).classes, "evaluate");
  if (!options.proposals.empty()) read_proposals(options.proposals, all);
  Dataset data = choose_images(options.truth, folder, all);
  data.name = split;
  world.watch.place = "the start of the evaluation";
  if (world.size() > 1)
    check_agreement(world,
                    {{"images", fmt::format("split {}\n", split), "options"},
                     beginning_of({&data}),
                     beginning_of(*detector.model)},
                    options.device.read_plans());
  world.watch.place = "the end of the evaluation";
  move_to(*detector.model, ctx->device);
  options.device.print_start();
  std::vector<Trace> traces;
  const auto found = detect_dataset(world, *ctx, *detector.model, data, options.workers, data.faults,
                                    options.report.empty() ? nullptr : &traces);
  if (!world.is_first()) return;
  ignore_undecodable(data, data.faults);
  const Result result{evaluate_voc(found, data), evaluate_coco(found, data)};
  const auto write_found = [&] {
    KeepGoing writing;
    if (!options.out.empty())
      writing.run([&] {
        write_detections(options.out, found, data.samples, detector.classes, data.category_ids,
                         count_unreadable(data.faults));
      });
    if (options.report.empty() && options.model_out.empty()) return writing.finish();
    Diagnosis diagnosis = diagnose(found, traces, data);
    if (!options.report.empty()) writing.run([&] { tell_worst(*ctx, *detector.model, data, diagnosis); });
    if (!options.report.empty())
      writing.run([&] {
        write_eval_report(options.report, describe_model(options, detector.model->config, data), data,
                          result.voc, result.coco.mean, diagnosis);
      });
    if (!options.model_out.empty())
      writing.run([&] {
        detector.confidence = recommended_confidence(diagnosis);
        save_model(options.model_out, detector);
        fmt::print("{}: the model with the recommended confidence threshold of each class\n",
                   options.model_out);
      });
    writing.finish();
  };
  show(options, split, result, data, write_found);
  options.device.print_sync_report();
}

}  // namespace

void add_eval(CLI::App& program, const std::string& command_line) {
  auto options = std::make_shared<Options>();
  options->command_line = command_line;
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
  options->truth.add(*app);
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
  app->add_option("--report", options->report,
                  "write a page (HTML) with figures, curves, errors and the worst images to this file")
      ->type_name("FILE");
  app->add_option("--json", options->json, "write the figures to this file, as JSON")->type_name("FILE");
  app->add_option("--workers", options->workers, "threads that load images [2]")->check(CLI::Range(0, 256));
  add_force(*app, options->force);
  add_rendezvous(*app, options->rendezvous);
  add_rank_timeout(*app, options->rank_timeout);
  options->truth.reading.add(*app);
  options->device.add(*app);
  app->callback([options] {
    check_input(
        !options->weights.empty() || options->rendezvous.empty(),
        "--rendezvous is for processes that share the images of a model, --weights; with --detections "
        "there is one process");
    if (!options->weights.empty()) use_rendezvous(options->rendezvous);
    World& world = options->weights.empty() ? alone() : join_world();
    world.watch.seconds = options->rank_timeout;
    if (const cuda::DeviceChoice choice = choose_device(options->device.device, world);
        world.size() > 1 && choice.device.type == DeviceType::cuda)
      options->device.device = choice.device.str();
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
      evaluate_weights(*options, world);
  });
}

}  // namespace rcnn
