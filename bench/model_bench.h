// Times a training step and a detection of a whole model, or its convolutions alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/context.h"

namespace rcnn {

struct ModelBenchOptions {
  std::string model = "nano-fpn";
  int batch = 4;
  int height = 240, width = 320;            // of the network's input in training
  int detect_height = 0, detect_width = 0;  // of the image to detect on; 0: as in training
  int classes = 3;
  int objects = 8;  // per image
  /// What to time, in this order: `train_step`; `detect`; `dense`, the part of a detection that computes
  /// whole maps: the backbone, the pyramid and the head of the RPN, whose result is a score and deltas for
  /// each anchor.
  std::vector<std::string> what = {"train_step", "detect"};
  int steps = 20;   // timed calls
  int warm_up = 5;  // calls before these
  bool json = false;
  std::string version;   // of this program, printed with `json`
  bool profile = false;  // also print where the time and the memory go (bench/step_profile.h); with `json` on
                         // standard error
  std::string profile_by;  // of the tables only that by "op", by "layer" or by "both"; empty: op and layer
  int64_t profile_rows = 25;
  std::filesystem::path trace;    // with `profile`, also write this trace; empty: none
  std::filesystem::path capture;  // record the shapes of the timed steps in this file (bench/shapes.h)
  bool capture_values = true;     // and the values of inputs that matter
  std::string command_line;       // quoted there
  std::filesystem::path plans;    // that the context has, an input; empty: none
  bool force = false;             // replace these files even if another program wrote them
  bool cuda_graph = false;        // on a GPU, record a step once and replay it
};

/// Prints median times, or with `json` one JSON object per line: first {"what": "versions", "rcnn": "..."},
/// then
/// {"what": "train_step" | "detect" | "dense", "seconds": [...], ...}. Images are noise, and boxes and
/// weights are random, all from a fixed seed. The stages that the model freezes when it starts from
/// pretrained weights are frozen here as well. A training step is forward, backward and SGD. Preparing the
/// image is part of `detect`, but not of `dense`.
void bench_model(Context& ctx, const ModelBenchOptions& options);

}  // namespace rcnn
