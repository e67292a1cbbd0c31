// The report of a training run or an evaluation: one HTML page that needs no network and no other file.
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

/// What a box in a picture stands for.
enum class BoxKind {
  correct,  // a right detection
  wrong,    // a wrong detection (false positive)
  missed,   // an object that is not found (false negative)
  truth,    // an object of the ground truth
  ignored,  // an object that is difficult or a crowd
};

struct ReportBox {
  Box box;  // in pixels of the picture
  BoxKind kind = BoxKind::truth;
  std::string name;     // plain text, written beside the box where there is room
  std::string tooltip;  // plain text
};

/// One image with its boxes, its caption, and remarks about it. Scale the image down to kPictureSide first
/// (`shrink_to_fit`).
struct ReportPicture {
  Image image;
  std::string caption;
  std::vector<std::string> remarks = {};
  std::vector<ReportBox> boxes =
      {};                    // where names have no room beside each other, that of the first is shown
  std::string verdict = {};  // "3 of 4 objects found, 1 false positive"
  std::vector<std::string> stories = {};  // what became of each missed object
};

/// Everything the page shows. Empty parts are left out, so the page of an evaluation without a training has
/// no losses, no augmented images and no settings. Text may come from untrusted files: it is escaped.
struct ReportData {
  std::string title;     // "nano-fpn on scenes"
  std::string subtitle;  // one line below the title
  /// Three or four short figures about the run, shown in large type: {"images per second", "64"}.
  std::vector<std::pair<std::string, std::string>> highlights;
  /// A few more facts about the run: {"Data", "bccd: trainval, 267 images"}.
  std::vector<std::pair<std::string, std::string>> facts;
  /// Facts in a fixed-width font: {"Command", "rcnn train ..."}, {"Weights, SHA-256", "..."}.
  std::vector<std::pair<std::string, std::string>> verbatim_facts;

  /// The whole configuration, folded at the end of the page: {"lr", "0.04"}.
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
  std::vector<ReportPicture> good;      // for the first screen; see good_pictures
  std::vector<ReportPicture> worst;     // worst first, the first one also on the first screen
  std::vector<ReportPicture> examples;  // see example_pictures
  std::vector<Fault> faults;            // the faults that were found in the dataset
};

/// The largest width and height of a picture, at which it is shown when it is enlarged.
inline constexpr int kPictureSide = 800;  // pixels

/// The image scaled down so that neither side is longer than `side` pixels; each pixel is the mean of the
/// pixels that it covers. An image that fits is returned unchanged.
Image shrink_to_fit(const Image& image, int side);

/// The report as an HTML page. Throws Error for a picture without pixels.
std::string render_report(const ReportData& data);

/// Writes the page atomically (see `write_atomically`). Throws Error naming the file.
void write_report(const std::filesystem::path& path, const ReportData& data);

}  // namespace rcnn
