// The splits of a run: those asked for, those of the data, or a random one if the data has none.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/data/fixtures.h"
#include "tests/train/tiny_run.h"
#include "train/run_data.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

TrainConfig on(const fs::path& data) {
  TrainConfig config;
  config.data = data.string();
  return config;
}

std::set<std::string> ids(const Dataset& dataset) {
  std::set<std::string> found;
  for (const Sample& sample : dataset.samples) found.insert(sample.id);
  return found;
}

/// Images, each with an XML file in the same folder: data without splits.
void write_unsplit(const fs::path& folder, uint32_t count) {
  write_tiny_scenes(folder / "voc", count);
  fs::create_directories(folder / "plain");
  for (const char* part : {"JPEGImages", "Annotations"})
    for (const auto& entry : fs::directory_iterator(folder / "voc" / part))
      fs::copy(entry.path(), folder / "plain" / entry.path().filename());
}

}  // namespace

TEST_CASE("run data: train, val and test are used if the data has them") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  const RunData alone = read_run_data(on(folder / "data"), folder / "out");
  CHECK(alone.train.samples.size() == 4);
  CHECK(alone.val.samples.empty());
  CHECK(alone.evaluated().samples.empty());
  CHECK_FALSE(alone.random);

  write_tiny_scenes(folder / "data", 3, "val");
  write_tiny_scenes(folder / "data", 2, "test");
  const RunData all = read_run_data(on(folder / "data"), folder / "out");
  CHECK(all.val.samples.size() == 3);
  CHECK(all.test.samples.size() == 2);
  CHECK(all.evaluated_name() == "test");
  CHECK(all.val.classes == all.train.classes);

  TrainConfig config = on(folder / "data");
  config.val = config.test = "none";
  const RunData none = read_run_data(config, folder / "out");
  CHECK(none.val.samples.empty());
  CHECK(none.test.samples.empty());
}

TEST_CASE("run data: with another training split, no val or test split is assumed") {
  // trainval contains val: evaluating on it would be meaningless.
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  write_tiny_scenes(folder / "data", 3, "val");
  TrainConfig config = on(folder / "data");
  config.train = "trainval";
  const RunData data = read_run_data(config, folder / "out");
  CHECK(data.train.samples.size() == 7);
  CHECK(data.val.samples.empty());
  config.val = "val";
  CHECK(read_run_data(config, folder / "out").val.samples.size() == 3);
}

TEST_CASE("run data: one split for validation and test is read once") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 2);
  write_tiny_scenes(folder / "data", 2, "val");
  TrainConfig config = on(folder / "data");
  config.test = "val";
  const RunData data = read_run_data(config, folder / "out");
  CHECK(data.test_is_val);
  CHECK(ids(data.test) == ids(data.val));
}

TEST_CASE("run data: data without splits is divided at random, the same way every time") {
  const TemporaryFolder folder;
  write_unsplit(folder.path(), 10);
  TrainConfig config = on(folder / "plain");
  const RunData first = read_run_data(config, folder / "out");
  CHECK(first.random);
  CHECK(first.train.samples.size() == 8);
  CHECK(first.val.samples.size() == 2);
  std::set<std::string> all = ids(first.train);
  all.merge(ids(first.val));
  CHECK(all.size() == 10);
  CHECK(ids(read_run_data(config, folder / "other").val) == ids(first.val));

  config.val_share = 0.5f;
  CHECK(read_run_data(config, folder / "out").val.samples.size() == 5);
  config.val_share = 0;
  CHECK(read_run_data(config, folder / "out").train.samples.size() == 10);
  config.val = "none";
  CHECK(read_run_data(config, folder / "out").val.samples.empty());
}

TEST_CASE("run data: a resumed run uses the lists of its start") {
  const TemporaryFolder folder;
  write_unsplit(folder.path(), 10);
  TrainConfig config = on(folder / "plain");
  const RunData first = read_run_data(config, folder / "out");
  write_random_split(first, folder / "out");
  config.seed = 99;                                                         // would give another split
  CHECK(ids(read_run_data(config, folder / "out").val) != ids(first.val));  // a new run has its own split
  const RunData again = read_run_data(config, folder / "out", true);
  CHECK(ids(again.train) == ids(first.train));
  CHECK(ids(again.val) == ids(first.val));

  write_text(folder / "out/splits/val.txt", "no_such_image\n");
  CHECK(contains(input_error([&] { read_run_data(config, folder / "out", true); }), "no_such_image"));
}

TEST_CASE("run data: a run removes what a killed one left in splits/") {
  const TemporaryFolder folder;
  write_unsplit(folder.path(), 4);
  // The first list was being written, so there is none that is checked before it is replaced.
  write_text(folder / "out/run.lock", "written by rcnn.cu, process 1\n");
  write_text(folder / "out/splits/.rcnn-tmp-1-0", "half");
  write_text(folder / "out/splits/.rcnn-tmp-x", "not ours");
  train_quietly(tiny_run(folder / "plain", folder / "out"));
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder / "out/splits"))
    left.insert(entry.path().filename().string());
  CHECK(left == std::set<std::string>{".rcnn-tmp-x", "train.txt", "val.txt"});
}

TEST_CASE("run data: missing splits are named") {
  const TemporaryFolder folder;
  CHECK(contains(input_error([&] { read_run_data(TrainConfig{}, "out"); }), "--data is missing"));
  write_tiny_scenes(folder / "data", 2, "first");
  const std::string sentence = input_error([&] { read_run_data(on(folder / "data"), folder / "out"); });
  CHECK(contains(sentence, "no split is called train"));
  CHECK(contains(sentence, "first"));
}
