// What a finished run leaves to read: summary.json for programs, report.html for people.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/average_precision.h"
#include "report/pictures.h"
#include "train/run_options.h"

namespace rcnn {

struct FinishedRun {
  int64_t steps = 0, images_seen = 0;
  int64_t best_step = 0;  // that the weights are from; 0: the last, as no split was watched
  double train_seconds = 0;
  std::string weights_sha256;
  std::string split;  // evaluated at the end; empty: none
  std::vector<Detection> detections;
  VocResult result;
  std::vector<Fault> faults;

  // For the report; what is empty is left out there.
  std::vector<DataSummary> summaries;                        // one a split, that of training first
  std::vector<TrainingExample> augmented;                    // about 16
  std::vector<std::pair<std::string, double>> coco_figures;  // of `split`; see ReportData
  std::optional<Diagnosis> diagnosis;                        // likewise
};

/// `judged` is the dataset that was evaluated.
void write_summary(const std::filesystem::path& path, const RunOptions& options, const FinishedRun& run,
                   const Dataset& judged);
/// Writes report.html into the run's folder, with the curves of its metrics.jsonl and examples from `test`.
/// `test` holds the classes even where it has no images.
void write_run_report(const std::filesystem::path& out, const RunOptions& options, const FinishedRun& run,
                      const Dataset& test);
/// Prints the AP table, every fault in the data, and the speed.
void print_result(const FinishedRun& run);

}  // namespace rcnn
