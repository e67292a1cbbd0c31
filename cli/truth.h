// The ground truth of eval and compare, and detections on it in a file.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cli/data_options.h"
#include "data/coco.h"
#include "data/folder.h"
#include "models/detector.h"

namespace rcnn {

/// --data, --split and --images, and how the data is read.
struct TruthOptions {
  std::string data, split, images;
  DataOptions reading;

  /// Adds the first three; those of `reading` are added by `reading.add`. This object must outlive the
  /// parsing.
  void add(CLI::App& app);
};

/// The ground truth. Annotations in a COCO file are kept as doubles, so that the figures are those of COCO's
/// tools.
struct Truth {
  DataFolder folder;
  Dataset data;
  std::vector<CocoAnnotation> annotations;
  std::string split;
};

/// The split asked for; by default test, or everything if the data has no splits. Prints the notes of the
/// folder.
std::string choose_split(const TruthOptions& options, const DataFolder& folder);

/// The images of the list --images, which names them by id, with or without an extension. Without a list
/// these are all images; for a folder without splits a line says so, because the model may have been trained
/// on some of them.
Dataset choose_images(const TruthOptions& options, const DataFolder& folder, const Dataset& all);

/// Reads the ground truth alone: the images of a COCO file need not exist.
Truth read_truth(const TruthOptions& options);

/// Looks for the images of a COCO file, of which `read_truth` knows the names only. Those that are not found
/// keep their name.
void find_images(Truth& truth);

/// Reads detections in COCO's results format. Those in categories that the data lacks are left out and
/// reported as a fault. An image that the data lacks is an error, because the file must belong to other data.
/// `data` is the name of the dataset for messages.
std::vector<CocoResult> read_results(const std::string& file, const std::string& data, Dataset& dataset);

/// Restricts the truth to the images of --images, which keep their numbers; returns these.
std::set<int64_t> keep_chosen(const TruthOptions& options, Truth& truth);

/// Leaves out the results in other images.
void keep_images(std::vector<CocoResult>& results, const std::set<int64_t>& images);

/// Throws InputError unless the model knows one of the classes: it would be reported as one that finds
/// nothing. `model` names it at the beginning of the sentence, `task` ends it: "evaluate".
void check_classes(const std::string& model, const Detector& detector, const std::string& data,
                   const std::vector<std::string>& classes, std::string_view task);

}  // namespace rcnn
