// A training run that takes a fraction of a second: small scenes, a small head, few boxes.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "core/files/safetensors.h"
#include "data/scenes.h"
#include "models/backbones.h"
#include "tests/data/fixtures.h"
#include "train/trainer.h"

namespace rcnn::fixtures {

inline void write_tiny_scenes(const std::filesystem::path& folder, uint32_t count,
                              const std::string& split = "train") {
  SceneOptions scene;
  scene.width = scene.height = 96;
  scene.max_objects = 3;
  scene.min_size = 16;
  scene.max_size = 48;
  scene.empty_share = 0;
  write_scenes(folder, count, 1, split, scene);
}

/// The settings that make a run tiny, as on a command line.
inline std::vector<std::pair<std::string, std::string>> tiny_settings() {
  return {{"short-side", "64"},
          {"rpn-batch-size-per-image", "32"},
          {"rpn-pre-nms-top-n-train", "50"},
          {"rpn-post-nms-top-n-train", "50"},
          {"rpn-pre-nms-top-n-test", "20"},
          {"rpn-post-nms-top-n-test", "20"},
          {"box-pool-size", "3"},
          {"box-head-size", "32"},
          {"box-batch-size-per-image", "16"},
          {"box-detections-per-img", "10"},
          {"batch", "2"},
          {"steps", "6"},
          {"lr", "0.02"},
          {"warmup", "2"}};
}

inline ModelConfig tiny_model() {
  ModelConfig model = model_config("nano-fpn");
  for (const auto& [key, text] : tiny_settings()) set_field(model, model_fields(), key, text);
  return model;
}

/// A run on `data` into `out`: 6 steps of 2 images.
inline RunOptions tiny_run(const std::filesystem::path& data, const std::filesystem::path& out) {
  RunOptions run;
  run.model = tiny_model();
  for (const auto& [key, text] : tiny_settings()) set_field(run.train, train_fields(), key, text);
  run.train.data = data.string();
  run.train.out = out.string();
  run.command_line = "rcnn train 'a b'";
  return run;
}

/// Discards standard output while it lives.
class Quiet {
 public:
  Quiet() : kept_(flush_and_duplicate()) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
    ::close(nowhere);
  }
  ~Quiet() {
    std::fflush(stdout);
    ::dup2(kept_, STDOUT_FILENO);
    ::close(kept_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  static int flush_and_duplicate() {
    std::fflush(stdout);
    return ::dup(STDOUT_FILENO);
  }
  int kept_;
};

inline void train_quietly(const RunOptions& run) {
  const Quiet quiet;
  train_detector(run);
}

/// Writes a split of one image with a correct header and truncated pixels, so that only decoding it fails.
/// With this split as --val a run stops at the end of its first epoch, before the checkpoint of that step.
inline void write_broken_split(const std::filesystem::path& data, const std::string& split = "broken") {
  write_tiny_scenes(data, 1, split);
  const std::filesystem::path image = data / "JPEGImages" / (split + "_00000.png");
  std::filesystem::resize_file(image, std::filesystem::file_size(image) / 2);
}

/// The tensors of the file in the order of their names, for writing them back changed.
inline std::vector<std::pair<std::string, Tensor>> listed(const SafetensorsFile& file) {
  return {file.tensors.begin(), file.tensors.end()};
}

}  // namespace rcnn::fixtures
