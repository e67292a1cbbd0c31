#include "train/run_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/counted.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/files/source_file.h"
#include "core/log.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "eval/print.h"
#include "models/faster_rcnn.h"
#include "report/pictures.h"
#include "train/checkpoint.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

double images_per_second(const FinishedRun& run) {
  return run.train_seconds > 0 ? static_cast<double>(run.images_seen) / run.train_seconds : 0;
}

/// Reads the curves from metrics.jsonl, so that the report of a resumed run begins at its first step.
void read_curves(const fs::path& path, ReportData& data) {
  for (const LossTerm& term : kLosses) data.losses.push_back({term.words, {}});
  ReportSeries area{"mAP@.5", {}}, coco{"mAP@.5:.95", {}};
  data.learning_rate.name = "learning rate";
  if (!is_there(path)) return;
  std::istringstream lines(text_of_file(path));
  for (std::string text; std::getline(lines, text);) {
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("step")) continue;
    const double step = line["step"];
    const auto add = [&](const char* key, ReportSeries& series) {
      if (const auto found = line.find(key); found != line.end() && found->is_number())
        series.points.push_back({step, *found});
    };
    for (size_t i = 0; i < std::size(kLosses); ++i) add(kLosses[i].key, data.losses[i]);
    add("val_map50", area);
    add("val_map", coco);
    add("lr", data.learning_rate);
  }
  if (!area.points.empty()) data.validation = {area, coco};
}

/// The command without --resume, so that it repeats the whole run and not only its end. `command` is made of
/// words as `shell_word` writes them.
std::string without_resume(std::string_view command) {
  std::string kept;
  for (size_t begin = 0; begin < command.size();) {
    size_t end = begin;
    bool quoted = false, escapes = false;  // escapes: within $'...'
    for (; end < command.size() && (quoted || command[end] != ' '); ++end) {
      if (command[end] == '\\' && (!quoted || escapes)) {
        ++end;
      } else if (command[end] == '\'') {
        quoted = !quoted;
        escapes = quoted && end > begin && command[end - 1] == '$';
      }
    }
    end = std::min(end, command.size());
    const std::string_view word = command.substr(begin, end - begin);
    if (word != "--resume" && !word.starts_with("--resume=")) {
      if (!kept.empty()) kept += ' ';
      kept += word;
    }
    begin = end + 1;
  }
  return kept;
}

}  // namespace

void write_summary(const fs::path& path, const RunOptions& options, const FinishedRun& run,
                   const Dataset& evaluated) {
  Json summary;
  summary["info"] = kWrittenHere;
  if (!run.split.empty()) {
    summary["split"] = run.split;
    summary["map50"] = run.result.map_area;
    summary["map50_voc07"] = run.result.map_11point;
    for (size_t i = 0; i < run.coco_figures.size(); ++i)
      summary["coco"][kCocoFigures[i].key] = run.coco_figures[i].second;
    for (const ClassResult& c : run.result.classes) {
      if (c.truths == 0) continue;  // there is no average precision without objects
      summary["ap50"][c.name] = c.ap_area;
      summary["ap50_voc07"][c.name] = c.ap_11point;
    }
  }
  summary["model"] = options.model.backbone;
  summary["steps"] = run.steps;
  if (run.best_step > 0) summary["best_step"] = run.best_step;
  summary["images_seen"] = run.images_seen;
  summary["train_seconds"] = run.train_seconds;
  summary["images_per_second"] = images_per_second(run);
  summary["weights_sha256"] = run.weights_sha256;
  summary["numerics"] = numerics_description(options.plans.get());
  if (run.diagnosis) summary["diagnosis"] = to_json(*run.diagnosis, evaluated);
  summary["faults"] = count_faults(run.faults);
  summary["unreadable_images"] = count_unreadable(run.faults);
  if (const std::string lost = log_failure(); !lost.empty()) summary["log_failure"] = lost;
  summary["command_line"] = options.command_line;
  write_atomically(path, summary.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void write_run_report(const fs::path& out, const RunOptions& options, const FinishedRun& run,
                      const Dataset& evaluated) {
  ReportData data;
  data.title =
      fmt::format("{} on {}", options.model.backbone, fs::path(options.train.data).filename().string());
  data.subtitle = fmt::format("Trained for {} in {:.0f} seconds, {} seen", counted(run.steps, "step"),
                              run.train_seconds, counted(run.images_seen, "image"));
  data.highlights = {{"steps", fmt::format("{}", run.steps)},
                     {"images seen", fmt::format("{}", run.images_seen)},
                     {"seconds of training", fmt::format("{:.0f}", run.train_seconds)},
                     {"images per second", fmt::format("{:.1f}", images_per_second(run))}};
  data.facts = {
      {"Data", options.train.data},
      {"Numerics", numerics_description(options.plans.get())},
      {"Repeatable", options.train.minutes > 0
                         ? "no: the run was ended by the clock (minutes)"
                         : "yes: the command below gives the same weights, bit for bit, on the same "
                           "data, machine, libraries and number of threads"}};
  data.verbatim_facts = {{"Command", without_resume(options.command_line)},
                         {"Weights, SHA-256", run.weights_sha256}};
  if (options.explain_every > 0 && is_there(out / "learning.html"))
    data.facts.emplace_back(
        "How it was learned",
        fmt::format("learning.html, beside this page, shows what the network made of {} "
                    "every {}",
                    fs::path(options.explain_image).filename().string(),
                    options.explain_every == 1 ? "step" : counted(options.explain_every, "step")));
  if (const std::string words = unreadable_words(run.faults); !words.empty())
    data.facts.emplace_back("Unreadable images", words);
  data.settings = list_fields(options.train, train_fields());
  for (const auto& setting : list_fields(options.model, model_fields())) data.settings.push_back(setting);
  data.classes = evaluated.classes;
  data.summaries = run.summaries;
  data.anchor_sizes = options.model.anchor_sizes;
  for (const TrainingExample& example : run.augmented)
    data.augmented.push_back(augmented_picture(example, evaluated.classes));
  read_curves(out / "metrics.jsonl", data);
  if (!run.split.empty()) {
    data.evaluated_on = fmt::format("{}, {}", run.split, counted(std::ssize(evaluated.samples), "image"));
    data.result = run.result;
    data.coco_figures = run.coco_figures;
    data.diagnosis = run.diagnosis;
    if (run.diagnosis) {
      data.good = good_pictures(*run.diagnosis, evaluated);
      data.worst = worst_pictures(*run.diagnosis, evaluated);
      data.examples = example_pictures(*run.diagnosis, evaluated);
    }
  }
  for (const Fault& fault : run.faults)
    if (!is_note(fault.kind)) data.faults.push_back(fault);
  write_report(out / "report.html", data);
}

void print_result(const FinishedRun& run) {
  if (!run.split.empty()) print_ap_table(run.result, run.split);
  print_faults(run.faults);
  print_log("{}, {} in {:.1f} s: {:.1f} images per second\n", counted(run.steps, "step"),
            counted(run.images_seen, "image"), run.train_seconds, images_per_second(run));
}

}  // namespace rcnn
