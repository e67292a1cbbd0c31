// Runs with several ranks, and whether what they leave is what one process leaves.
#pragma once

#include <map>
#include <string>

#include "core/world.h"
#include "tests/one_thread.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

namespace rcnn::fixtures {

/// Trains with ranks that are threads of this process.
inline void train_with_ranks(int ranks, const RunOptions& run) {
  const Quiet quiet;
  run_ranks(ranks, [&](World& world) {
    RunOptions own = run;
    own.world = &world;
    train_detector(own);
  });
}

/// Everything in a checkpoint except the time that the run has taken.
inline std::map<std::string, std::string> timeless(const std::filesystem::path& checkpoint) {
  const SafetensorsFile file = read_safetensors(checkpoint);
  std::map<std::string, std::string> all(file.metadata.begin(), file.metadata.end());
  all.erase("train_seconds");
  for (const auto& [name, tensor] : file.tensors)
    all["tensor " + name].assign(static_cast<const char*>(tensor.raw()), tensor.bytes());
  return all;
}

/// Checks that the results of two runs have the same bytes.
inline void check_same_results(const std::filesystem::path& expected, const std::filesystem::path& found) {
  for (const char* file : {"best.safetensors", "metrics.jsonl", "detections.json", "data.txt"}) {
    CAPTURE(file);
    CHECK(std::filesystem::exists(expected / file) == std::filesystem::exists(found / file));
    CHECK((content_of(expected / file) == content_of(found / file)));
  }
  CHECK((timeless(expected / "last.safetensors") == timeless(found / "last.safetensors")));
}

}  // namespace rcnn::fixtures
