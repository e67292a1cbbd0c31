// Times a training step and a detection of a whole model.
#pragma once

#include <string>

#include "core/context.h"

namespace rcnn {

struct ModelBenchOptions {
  std::string model = "nano-fpn";
  int batch = 4;
  int height = 240, width = 320;            // of the network's input in training
  int detect_height = 0, detect_width = 0;  // of the image to detect on; 0: as in training
  int classes = 3;
  int objects = 8;  // per image
  int steps = 20;   // timed calls, after a warm-up
  bool json = false;
  bool profile = false;     // also print the time of each op
  bool cuda_graph = false;  // on a GPU, record a step once and replay it
};

/// Prints median times, or with `json` one JSON object per line: {"what": "train_step" | "detect", "seconds":
/// [...], ...}. Images are noise, and boxes and weights are random, all from a fixed seed. The stages that
/// the model freezes when it starts from pretrained weights are frozen here as well. A training step is
/// forward, backward and SGD.
void bench_model(Context& ctx, const ModelBenchOptions& options);

}  // namespace rcnn
