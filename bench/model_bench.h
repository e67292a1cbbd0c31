// Times a training step and a detection of a whole model.
#pragma once

#include <string>

#include "core/context.h"

namespace rcnn {

struct ModelBenchOptions {
  std::string model = "nano-fpn";
  int batch = 4;
  int height = 240, width = 320;            // of the network's input
  int detect_height = 0, detect_width = 0;  // of the image detected on; 0: the same
  int classes = 3;
  int objects = 8;  // an image
  int steps = 20;   // timed, after a warm-up
  bool json = false;
  bool profile = false;     // print the time by op as well
  bool cuda_graph = false;  // on a GPU, record a step once and replay it
};

/// Prints medians, or with `json` one object a line: {"what": "train_step" | "detect", "seconds": [...],
/// ...}. Images are noise, boxes and weights random, from a fixed seed; stages that the model freezes when it
/// starts from weights are frozen. A training step is forward, backward and SGD.
void bench_model(Context& ctx, const ModelBenchOptions& options);

}  // namespace rcnn
