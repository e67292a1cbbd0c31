// Runs that train one part of the model, and the four-step training of the paper.
#include "train/alternating.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/files/sha256.h"
#include "eval/proposals.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"
#include "train/checkpoint.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string weights_of(const fs::path& out) { return sha256_hex_of_file(out / "best.safetensors"); }

std::map<std::string, Tensor> tensors_of(const fs::path& out) {
  return read_safetensors(out / "best.safetensors").tensors;
}

bool same(const Tensor& a, const Tensor& b) {
  const auto x = a.values<float>(), y = b.values<float>();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

/// The parts of the model that differ: "backbone", "rpn", "roi_heads", in this order.
std::string moved(const fs::path& from, const fs::path& to) {
  const auto before = tensors_of(from), after = tensors_of(to);
  REQUIRE(before.size() == after.size());
  std::string parts;
  for (const char* part : {"backbone", "rpn", "roi_heads"}) {
    size_t tensors = 0, different = 0;
    for (const auto& [name, tensor] : after) {
      if (!name.starts_with(std::string(part) + ".")) continue;
      ++tensors;
      if (!same(tensor, before.at(name))) ++different;
    }
    REQUIRE(tensors > 0);
    if (different > 0) parts += std::string(parts.empty() ? "" : " ") + part;
  }
  return parts;
}

int64_t step_of(const fs::path& out) {
  return std::stoll(read_safetensors(out / "last.safetensors").metadata.at("step"));
}

RunOptions alternating_run(const TemporaryFolder& folder, const std::string& out) {
  RunOptions run = tiny_run(folder / "data", folder / out);
  run.train.mode = "alternating";
  run.train.steps = 18;
  run.train.crop = 0.5f;
  return run;
}

}  // namespace

TEST_CASE(
    "alternating: each of the four runs trains its part, and the last one leaves a detector and a report") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  write_tiny_scenes(folder / "data", 2, "val");
  write_tiny_scenes(folder / "data", 2, "test");
  RunOptions run = alternating_run(folder, "out");
  // The initial weights as a file to compare with: those after a step that changes nothing.
  RunOptions still = tiny_run(folder / "data", folder / "still");
  still.train.steps = 1;
  still.train.lr = 1e-30f;
  train_quietly(still);
  run.train.weights = (folder / "still" / "best.safetensors").string();
  train_quietly(run);

  const fs::path out = folder / "out";
  CHECK(step_of(out / "1-rpn") == 6);
  CHECK(step_of(out / "2-fast-rcnn") == 3);
  CHECK(step_of(out / "3-rpn") == 6);
  CHECK(step_of(out) == 3);
  CHECK(moved(folder / "still", out / "1-rpn") == "backbone rpn");
  CHECK(moved(folder / "still", out / "2-fast-rcnn") == "backbone roi_heads");
  CHECK(moved(out / "2-fast-rcnn", out / "3-rpn") == "rpn");
  CHECK(moved(out / "3-rpn", out) == "roi_heads");

  for (const char* file : {"report.html", "summary.json", "detections.json", "metrics.jsonl"})
    CHECK_MESSAGE(fs::exists(out / file), file);
  const auto summary = nlohmann::json::parse(content_of(out / "summary.json"));
  CHECK(summary["split"] == "test");
  CHECK(summary["steps"] == 3);
  CHECK(summary["best_step"] == 3);  // evaluated on val
  CHECK_FALSE(nlohmann::json::parse(content_of(out / "2-fast-rcnn" / "summary.json")).contains("split"));
  CHECK(contains(content_of(out / "1-rpn" / "metrics.jsonl"), "\"rpn_cls\""));
  CHECK_FALSE(contains(content_of(out / "1-rpn" / "metrics.jsonl"), "\"cls\""));
  CHECK_FALSE(contains(content_of(out / "2-fast-rcnn" / "metrics.jsonl"), "\"rpn_cls\""));
  CHECK(fs::exists(out / "1-rpn" / "proposals.json"));
  CHECK(load_model(out / "best.safetensors").model->config.backbone == "nano-fpn");
}

TEST_CASE("alternating: a run stopped anywhere and resumed ends with the weights of an uninterrupted one") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  train_quietly(alternating_run(folder, "whole"));
  const std::string wanted = weights_of(folder / "whole");
  RunOptions run = alternating_run(folder, "out");
  train_quietly(run);
  CHECK(weights_of(folder / "out") == wanted);

  run.resume = true;
  const fs::path out = folder / "out";
  const auto forget = [&](const std::vector<std::string>& files) {
    for (const std::string& file : files) fs::remove(out / file);
    fs::remove(out / "best.safetensors");
    fs::remove(out / "last.safetensors");
  };
  const std::vector<std::vector<std::string>> stops = {
      {},  // before the last part
      {"3-rpn/proposals.json"},
      {"3-rpn/last.safetensors", "3-rpn/best.safetensors", "3-rpn/proposals.json"},
      {"3-rpn/last.safetensors", "3-rpn/best.safetensors", "3-rpn/proposals.json",
       "2-fast-rcnn/last.safetensors"}};
  for (const auto& files : stops) {
    forget(files);
    train_quietly(run);
    CHECK(weights_of(out) == wanted);
  }

  // In the last part, evaluation fails at the end of its epoch, step 3, whose checkpoint is saved all the
  // same.
  write_broken_split(folder / "data");
  forget({});
  run.train.checkpoint_every = 1;
  run.train.val = "broken";
  CHECK(contains(input_error([&] { train_quietly(run); }), "can be decoded"));
  CHECK(step_of(out) == 3);
  run.train.val.clear();
  train_quietly(run);
  CHECK(weights_of(out) == wanted);
}

TEST_CASE("alternating: a run killed in each part and resumed gives the weights of an uninterrupted one") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  const auto words = [&](const std::string& out) {
    std::vector<std::string> list = {program.string(),           "train", "--data",
                                     (folder / "data").string(), "--out", (folder / out).string()};
    for (const auto& [key, text] : tiny_settings()) {
      list.push_back("--" + key);
      list.push_back(key == "steps" ? "36" : text);
    }
    list.insert(list.end(), {"--checkpoint-every", "1", "--mode", "alternating"});
    return list;
  };
  REQUIRE(Process(words("whole")).wait() == 0);
  std::vector<std::string> resuming = words("killed");
  resuming.emplace_back("--resume");
  int kills = 0;
  for (const char* part : {"1-rpn", "2-fast-rcnn", "3-rpn", ""}) {
    const fs::path metrics = folder / "killed" / part / "metrics.jsonl";
    Process process(resuming);
    while (process.running() && !(fs::exists(metrics) && content_of(metrics).find('\n') != std::string::npos))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    kills += process.kill_and_wait() == 128 + SIGKILL;
  }
  CHECK(kills > 0);
  Process process(resuming);
  REQUIRE(process.wait() == 0);
  CHECK(weights_of(folder / "killed") == weights_of(folder / "whole"));
}

TEST_CASE(
    "alternating: data without splits is divided once, and the last part evaluates on the validation part") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  fs::remove_all(folder / "data" / "ImageSets");
  train_quietly(alternating_run(folder, "out"));
  const fs::path out = folder / "out";
  const std::string list = content_of(out / "splits" / "train.txt");
  CHECK_FALSE(list.empty());
  for (const char* part : {"1-rpn", "2-fast-rcnn", "3-rpn"})
    CHECK(content_of(out / part / "splits" / "train.txt") == list);
  const auto summary = nlohmann::json::parse(content_of(out / "summary.json"));
  CHECK(summary["split"] == "val, at random");
}

TEST_CASE("alternating: training images that no part could decode are counted, each once") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 12);
  for (const char* name : {"train_00003.png", "train_00007.png"}) {
    const fs::path image = folder / "data/JPEGImages" / name;
    fs::resize_file(image, fs::file_size(image) / 2);
  }
  RunOptions run = alternating_run(folder, "out");
  run.train.steps = 6;  // one of them in the last part, which sees two of the images
  train_quietly(run);
  const auto unreadable = [&](const char* part) {
    return nlohmann::json::parse(content_of(folder / "out" / part / "summary.json"))["unreadable_images"];
  };
  CHECK(unreadable("") == 2);
  CHECK(unreadable("2-fast-rcnn") < 2);  // what that part itself could not read
}

TEST_CASE("alternating: a run whose folder was moved resumes, one with other initial weights does not") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  train_quietly(alternating_run(folder, "out"));
  const std::string weights = weights_of(folder / "out");
  fs::rename(folder / "out", folder / "moved");
  RunOptions run = alternating_run(folder, "moved");
  run.resume = true;
  train_quietly(run);
  CHECK(weights_of(folder / "moved") == weights);
  run.train.weights = "other.safetensors";
  CHECK(contains(input_error([&] { train_quietly(run); }), "other.safetensors"));
}

TEST_CASE("alternating: a folder that holds another run is refused before anything is trained") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  train_quietly(tiny_run(folder / "data", folder / "out"));
  RunOptions run = alternating_run(folder, "out");
  CHECK(contains(input_error([&] { train_quietly(run); }), "already holds a run"));
  run.resume = true;
  CHECK(contains(input_error([&] { train_quietly(run); }), "choose another --out"));
  CHECK_FALSE(fs::exists(folder / "out" / "1-rpn"));
}

TEST_CASE("alternating: the folder of the whole run is locked from the start to the end") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  std::vector<std::string> words = {program.string(),           "train", "--data",
                                    (folder / "data").string(), "--out", (folder / "out").string()};
  for (const auto& [key, text] : tiny_settings())
    words.insert(words.end(), {"--" + key, key == "steps" ? "100000" : text});
  std::vector<std::string> alternating = words;
  alternating.insert(alternating.end(), {"--mode", "alternating"});
  const Process first(alternating);
  first.wait_until([&] { return !content_of(folder / "out/1-rpn/metrics.jsonl").empty(); });
  Process second(words);
  CHECK(second.wait() == 2);
  CHECK(contains(second.err(), fmt::format("process {} is training in this folder", first.id())));
  CHECK_FALSE(fs::exists(folder / "out/metrics.jsonl"));
}

TEST_CASE("fast-rcnn: training and evaluation on the proposals of a file") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  write_tiny_scenes(folder / "data", 2, "test");
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.mode = "fast-rcnn";
  CHECK(contains(input_error([&] { train_quietly(run); }), "--proposals is missing"));
  run.train.proposals = (folder / "p.json").string();
  const auto write = [&](const char* name, const std::string& split) {
    write_text(folder / name,
               "[{\"image_id\": \"" + split + R"(_00001", "bbox": [10, 10, 40, 40], "score": 0.5}])");
  };
  write("p.json", "train");
  write("t.json", "test");
  train_quietly(run);  // without proposals for it, the test split is not evaluated
  CHECK_FALSE(nlohmann::json::parse(content_of(folder / "out" / "summary.json")).contains("split"));

  run.train.out = (folder / "evaluated").string();
  run.train.test_proposals = (folder / "t.json").string();
  train_quietly(run);
  const auto summary = nlohmann::json::parse(content_of(folder / "evaluated" / "summary.json"));
  CHECK(summary["split"] == "test");
  // The files differ: an evaluated model has its recommended confidence.
  for (const auto& [name, tensor] : tensors_of(folder / "out"))
    CHECK(same(tensors_of(folder / "evaluated").at(name), tensor));
  CHECK_FALSE(contains(content_of(folder / "evaluated" / "detections.json"), "test_00000"));

  run.train.out = (folder / "refused").string();
  run.train.proposals = run.train.test_proposals;
  CHECK(contains(input_error([&] { train_quietly(run); }), "which the data lacks"));
  run.train.mode = "joint";
  CHECK(contains(input_error([&] { train_quietly(run); }), "expected --mode fast-rcnn"));
  run.train.proposals.clear();
  CHECK(contains(input_error([&] { train_quietly(run); }), "--test-proposals"));
  run.train.test_proposals.clear();
  run.train.freeze_backbone = true;
  CHECK(contains(input_error([&] { train_quietly(run); }), "needs --weights"));
}
