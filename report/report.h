// The report of a training run: one HTML page that needs no network, no script and no other file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"
#include "data/dataset.h"
#include "data/image.h"
#include "eval/average_precision.h"
#include "eval/data_summary.h"
#include "eval/diagnosis.h"
#include "report/chart.h"

namespace rcnn {

struct ReportSeries {
  std::string name;
  std::vector<ChartPoint> points;  // x is the step, ascending; values that are not finite are left out
};

/// One image twice: with its ground truth drawn in, and with the detections (see data/draw.h). Shrink an
/// image to kReportImageWidth before drawing (`shrink_to_width`), so that the names stay legible.
struct ReportExample {
  Image truth, detected;
  std::string caption;
};

/// One image, boxes drawn in, with what there is to say about it.
struct ReportPicture {
  Image image;
  std::string caption;
  std::vector<std::string> remarks = {};
};

/// Everything the page shows. A part that is empty is left out. Any text may come from anywhere: it is
/// escaped.
struct ReportData {
  std::string title;     // "nano-fpn on scenes"
  std::string subtitle;  // one line under it
  /// Shown large beside the mAP: {"images a second", "64"}. Three or four short ones.
  std::vector<std::pair<std::string, std::string>> highlights;
  /// A few more facts about the run, at the top: {"Data", "bccd: trainval, 267 images"}.
  std::vector<std::pair<std::string, std::string>> facts;
  /// The same in a fixed-width font: {"Command", "rcnn train ..."}, {"Weights, SHA-256", "..."}.
  std::vector<std::pair<std::string, std::string>> verbatim_facts;

  /// The whole configuration, small, at the end of the page: {"lr", "0.04"}.
  std::vector<std::pair<std::string, std::string>> settings;

  std::vector<std::string> classes;  // label l is classes[l - 1]

  std::vector<DataSummary> summaries;    // one a split, that of training first
  Levels anchor_sizes;                   // in pixels of the network's input, marked beside the box sizes
  std::vector<ReportPicture> augmented;  // what the model was shown in training

  std::vector<ReportSeries> losses;      // the total first, then its terms
  std::vector<ReportSeries> validation;  // mAP, 0 to 1
  ReportSeries learning_rate;

  std::string evaluated_on;  // "test, 100 images"
  VocResult result;
  /// COCO's figures, AP first, named in words; below 0: there is no such object.
  std::vector<std::pair<std::string, double>> coco_figures;
  std::optional<Diagnosis> diagnosis;
  std::vector<ReportPicture> worst;  // worst first; see worst_picture
  std::vector<ReportExample> examples;
  std::vector<Fault> faults;  // in the data
};

/// Images are shown at most this wide; wider ones are scaled down.
inline constexpr int kReportImageWidth = 480;  // pixels

/// The image scaled down to `width` pixels, each the mean of those it covers; itself when it is no wider.
Image shrink_to_width(const Image& image, int width);

/// The page. Throws Error for a picture without pixels.
std::string render_report(const ReportData& data);

/// Writes the page in one step (see `write_atomically`). Throws Error naming the file.
void write_report(const std::filesystem::path& path, const ReportData& data);

}  // namespace rcnn
