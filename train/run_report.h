// The results of a finished run: summary.json for programs, report.html for people.
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
  int64_t best_step = 0;  // the step of the weights; 0: the last one, because there was no validation split
  double train_seconds = 0;
  std::string weights_sha256;
  std::string split;  // the split evaluated at the end; empty: none
  std::vector<Detection> detections;
  VocResult result;
  std::vector<Fault> faults;

  // For the report, which leaves out empty parts.
  std::vector<DataSummary> summaries;                        // one per split, the training split first
  std::vector<TrainingExample> augmented;                    // about 16
  std::vector<std::pair<std::string, double>> coco_figures;  // of `split`; see ReportData
  std::optional<Diagnosis> diagnosis;                        // likewise
};

/// `evaluated` is the dataset of `run.split`.
void write_summary(const std::filesystem::path& path, const RunOptions& options, const FinishedRun& run,
                   const Dataset& evaluated);
/// Writes report.html to the run's folder, with the curves of its metrics.jsonl and examples from
/// `evaluated`, which has the classes even if it has no images.
void write_run_report(const std::filesystem::path& out, const RunOptions& options, const FinishedRun& run,
                      const Dataset& evaluated);
/// Prints the AP table, every fault in the data, and the speed.
void print_result(const FinishedRun& run);

}  // namespace rcnn
