// Whole runs with several ranks, as threads of this process: their files have the bytes of a run with one.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/train/ranks.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// Data with a training, a validation and a test split; one training and one validation image are broken.
void write_data(const fs::path& folder) {
  write_tiny_scenes(folder, 7);
  write_tiny_scenes(folder, 3, "val");
  write_tiny_scenes(folder, 2, "test");
  for (const char* name : {"train_00002.png", "val_00001.png"}) {
    const fs::path image = folder / "JPEGImages" / name;
    fs::resize_file(image, fs::file_size(image) / 2);
  }
}

RunOptions run_of(const TemporaryFolder& folder, const std::string& out, int64_t accumulate) {
  RunOptions run = tiny_run(folder / "data", folder / out);
  run.train.accumulate = accumulate;
  run.train.steps = 3;
  run.train.batch = 1;
  run.train.ema = 0.9f;
  run.train.mosaic = 0.5f;
  run.model.box_dropout = 0.3f;
  return run;
}

/// The summary without times and without what names the folder.
nlohmann::json summary_of(const fs::path& out) {
  auto summary = nlohmann::json::parse(content_of(out / "summary.json"));
  for (const char* key : {"train_seconds", "images_per_second"}) summary.erase(key);
  return summary;
}

}  // namespace

TEST_CASE("ranks, run: 1 to 5 ranks leave the same files") {
  const OneThread ops;
  const TemporaryFolder folder;
  write_data(folder / "data");
  for (const auto& [batches, numbers] :
       {std::pair{4, std::vector<int>{2, 3, 4}}, std::pair{6, std::vector<int>{2, 5}}}) {
    const std::string one = fmt::format("{}-1", batches);
    train_quietly(run_of(folder, one, batches));
    CHECK(summary_of(folder / one).at("unreadable_images") == 2);
    for (const int ranks : numbers) {
      CAPTURE(batches);
      CAPTURE(ranks);
      const std::string name = fmt::format("{}-{}", batches, ranks);
      train_with_ranks(ranks, run_of(folder, name, batches));
      check_same_results(folder / one, folder / name);
      CHECK(summary_of(folder / one) == summary_of(folder / name));
      CHECK(fs::exists(folder / name / "report.html"));
    }
  }
}

TEST_CASE("ranks, run: alternating training with a random split, and resumed with another number") {
  const OneThread ops;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "scenes", 8);
  fs::create_directories(folder / "data");
  fs::rename(folder / "scenes/JPEGImages", folder / "data/JPEGImages");
  fs::rename(folder / "scenes/Annotations", folder / "data/Annotations");
  const auto run = [&](const std::string& out) {
    RunOptions options = tiny_run(folder / "data", folder / out);
    options.train.mode = "alternating";
    options.train.steps = 8;
    options.train.batch = 1;
    options.train.accumulate = 4;
    return options;
  };
  train_quietly(run("one"));
  train_with_ranks(3, run("three"));
  for (const char* part : {"1-rpn", "2-fast-rcnn", "3-rpn", "."}) {
    CAPTURE(part);
    check_same_results(folder / "one" / part, folder / "three" / part);
    CHECK((content_of(folder / "one" / part / "proposals.json") ==
           content_of(folder / "three" / part / "proposals.json")));
  }
  // Without the last two parts, another number of ranks goes on.
  for (const char* left : {"3-rpn", "last.safetensors", "best.safetensors"})
    fs::remove_all(folder / "three" / left);
  RunOptions again = run("three");
  again.resume = true;
  train_with_ranks(2, again);
  check_same_results(folder / "one", folder / "three");
}

TEST_CASE("ranks, run: more ranks than batches, and ranks that begin with other things, are refused") {
  const OneThread ops;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  const RunOptions run = run_of(folder, "out", 2);
  CHECK(input_error([&] { train_with_ranks(3, run); }) ==
        "3 processes train together, but a step has only 2 batches: start at most so many processes, or give "
        "each "
        "of them a batch with --accumulate 3");
  CHECK_FALSE(fs::exists(folder / "out"));
  write_tiny_scenes(folder / "other", 5);
  const auto with = [&](const auto& change) {
    const Quiet quiet;
    return input_error([&] {
      run_ranks(2, [&](World& world) {
        RunOptions own = run;
        own.world = &world;
        own.force = true;
        if (world.rank() == 1) change(own);
        train_detector(own);
      });
    });
  };
  CHECK(contains(
      with([&](RunOptions& own) { own.train.data = (folder / "other").string(); }),
      "rank 1 begins with other images or annotations than rank 0; expected the same data (--data) in "
      "all processes"));
  // The same annotations, but another image.
  fs::copy(folder / "data", folder / "pixels", fs::copy_options::recursive);
  for (const auto& image : fs::directory_iterator(folder / "pixels/JPEGImages")) {
    std::ofstream(image.path(), std::ios::app) << "other";
    break;
  }
  CHECK(contains(with([&](RunOptions& own) { own.train.data = (folder / "pixels").string(); }),
                 "rank 1 begins with other images or annotations than rank 0"));
  CHECK(contains(with([](RunOptions& own) { own.train.lr = 0.5f; }),
                 "rank 1 begins with other settings than rank 0 (lr = "));
  CHECK(contains(with([](RunOptions& own) { own.train.seed = 2; }), "(seed = 2, not seed = "));
}

TEST_CASE("ranks, run: steps that are not finite end the run on all ranks with one sentence") {
  const OneThread ops;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = run_of(folder, "out", 2);
  run.train.steps = 30;
  run.train.lr = 1e30f;
  run.train.clip_norm = 0;
  run.train.warmup = 0;
  std::string said;
  try {
    train_with_ranks(2, run);
  } catch (const Error& error) {
    said = error.what();
  }
  CHECK(contains(said, "no loss was finite; training stopped"));
}
