#include "cli/eval_report.h"

#include <fmt/format.h>

#include "cli/commands.h"
#include "core/files/sha256.h"
#include "eval/detect.h"
#include "report/pictures.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The last part of a path: "scenes" for "data/scenes/".
std::string last_part(const fs::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

void write_eval_report(const fs::path& path, const EvalReport& report, const Dataset& evaluated,
                       const VocResult& result, const CocoFigures& coco, const Diagnosis& diagnosis) {
  ReportData data;
  data.title = fmt::format("{} on {}", last_part(report.of), last_part(report.data));
  data.subtitle = fmt::format("Evaluated by {}.", version_line());
  data.facts = report.facts;
  data.facts.emplace_back("Data", report.data);
  if (!report.list.empty()) data.facts.emplace_back("Images", report.list);
  data.verbatim_facts = {{"Command", report.command_line}};
  if (!report.weights.empty())
    data.verbatim_facts.emplace_back("Weights, SHA-256", sha256_hex_of_file(report.weights));
  if (const std::string words = unreadable_words(evaluated.faults); !words.empty())
    data.facts.emplace_back("Unreadable images", words);
  data.classes = evaluated.classes;
  if (report.summary) {
    data.summaries = {*report.summary};
    data.anchor_sizes = report.summary->anchor_sizes;
  }
  const size_t images = evaluated.samples.size();
  data.evaluated_on = fmt::format("{}{} image{}", report.split.empty() ? "" : report.split + ", ", images,
                                  images == 1 ? "" : "s");
  data.result = result;
  for (const CocoFigureName& figure : kCocoFigures)
    data.coco_figures.emplace_back(figure.words, coco.*figure.value);
  data.diagnosis = diagnosis;
  data.worst = worst_pictures(diagnosis, evaluated);
  data.good = good_pictures(diagnosis, evaluated);
  data.examples = example_pictures(diagnosis, evaluated);
  data.faults = evaluated.faults;
  write_report(path, data);
  fmt::print("report: {}\n", path.string());
}

}  // namespace rcnn
