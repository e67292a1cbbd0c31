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

/// One image twice: once with its ground truth drawn in, once with the detections (see data/draw.h). Shrink
/// the image to kReportImageWidth before drawing (`shrink_to_width`), so that the names stay legible.
struct ReportExample {
  Image truth, detected;
  std::string caption;
};

/// One image with boxes drawn in, its caption, and remarks about it.
struct ReportPicture {
  Image image;
  std::string caption;
  std::vector<std::string> remarks = {};
};

/// Everything the page shows. Empty parts are left out. Text may come from untrusted files: it is escaped.
struct ReportData {
  std::string title;     // "nano-fpn on scenes"
  std::string subtitle;  // one line below the title
  /// Three or four short figures, shown in large type next to the mAP: {"images per second", "64"}.
  std::vector<std::pair<std::string, std::string>> highlights;
  /// A few more facts about the run, shown at the top: {"Data", "bccd: trainval, 267 images"}.
  std::vector<std::pair<std::string, std::string>> facts;
  /// Facts in a fixed-width font: {"Command", "rcnn train ..."}, {"Weights, SHA-256", "..."}.
  std::vector<std::pair<std::string, std::string>> verbatim_facts;

  /// The whole configuration, shown in small type at the end of the page: {"lr", "0.04"}.
  std::vector<std::pair<std::string, std::string>> settings;

  std::vector<std::string> classes;  // classes[l - 1] is the name of label l

  std::vector<DataSummary> summaries;    // one per split, the training split first
  Levels anchor_sizes;                   // in pixels of the network's input; marked in the chart of box sizes
  std::vector<ReportPicture> augmented;  // training images after augmentation

  std::vector<ReportSeries> losses;      // the total loss first, then its terms
  std::vector<ReportSeries> validation;  // mAP, from 0 to 1
  ReportSeries learning_rate;

  std::string evaluated_on;  // "test, 100 images"
  VocResult result;
  /// Descriptions and values of COCO's metrics, AP first; negative if there are no objects of that size.
  std::vector<std::pair<std::string, double>> coco_figures;
  std::optional<Diagnosis> diagnosis;
  std::vector<ReportPicture> worst;  // worst first; see worst_pictures
  std::vector<ReportExample> examples;
  std::vector<Fault> faults;  // the faults that were found in the dataset
};

/// The maximum width at which images are shown. Wider images are scaled down.
inline constexpr int kReportImageWidth = 480;  // pixels

/// The image scaled down to a width of `width` pixels; each pixel is the mean of the pixels that it covers.
/// An image that is not wider is returned unchanged.
Image shrink_to_width(const Image& image, int width);

/// The report as an HTML page. Throws Error for a picture without pixels.
std::string render_report(const ReportData& data);

/// Writes the page atomically (see `write_atomically`). Throws Error naming the file.
void write_report(const std::filesystem::path& path, const ReportData& data);

}  // namespace rcnn
