// Runs that evaluate during training, average their weights, have a time limit, or are asked to stop.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/files/safetensors.h"
#include "core/files/sha256.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"
#include "train/checkpoint.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string sha_of(const fs::path& out, const char* file) { return sha256_hex_of_file(out / file); }

/// The complete lines of metrics.jsonl; the last one may be incomplete.
std::vector<nlohmann::json> lines_of(const fs::path& metrics) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(metrics);
  for (std::string text; std::getline(file, text);)
    if (auto line = nlohmann::json::parse(text, nullptr, false); line.is_object())
      lines.push_back(std::move(line));
  return lines;
}

/// All random choices at once.
void augment_all(TrainConfig& train) {
  train.flip_vertical = true;
  train.scale_jitter = 0.5f;
  train.colour_jitter = 0.3f;
  train.crop = 0.5f;
  train.mosaic = 0.5f;
}

std::vector<std::string> command(const fs::path& program, const fs::path& data, const fs::path& out,
                                 const std::string& steps) {
  std::vector<std::string> words = {program.string(),
                                    "train",
                                    "--data",
                                    data.string(),
                                    "--out",
                                    out.string(),
                                    "--ema",
                                    "0.9",
                                    "--crop",
                                    "0.5",
                                    "--mosaic",
                                    "0.3",
                                    "--scale-jitter",
                                    "0.5",
                                    "--colour-jitter",
                                    "0.3",
                                    "--accumulate",
                                    "2",
                                    "--checkpoint-every",
                                    "3"};
  for (const auto& [key, text] : tiny_settings()) {
    words.push_back("--" + key);
    words.push_back(key == "steps" ? steps : text);
  }
  return words;
}

}  // namespace

TEST_CASE("run: the weights that were best on val are kept and evaluated on test") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  write_tiny_scenes(folder / "data", 4, "val");
  write_tiny_scenes(folder / "data", 3, "test");
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.steps = 12;
  train_quietly(run);

  int64_t best_step = 0;
  double best = -1;
  std::vector<int64_t> evaluated;
  for (const nlohmann::json& line : lines_of(folder / "out/metrics.jsonl")) {
    if (!line.contains("val_map")) continue;
    evaluated.push_back(line.at("step"));
    if (line.at("val_map") >= best) best = line.at("val_map"), best_step = line.at("step");
  }
  CHECK(evaluated == std::vector<int64_t>{3, 6, 9, 12});
  const auto summary = nlohmann::json::parse(content_of(folder / "out/summary.json"));
  CHECK(summary.at("best_step") == best_step);
  CHECK(summary.at("split") == "test");
  CHECK(summary.at("weights_sha256") == sha_of(folder / "out", "best.safetensors"));
  CHECK(load_model(folder / "out/last.safetensors").classes ==
        load_model(folder / "out/best.safetensors").classes);

  // The weights of the first epoch, from a run that ends there. They are the expected ones if that epoch was
  // the best.
  RunOptions cut = tiny_run(folder / "data", folder / "cut");
  cut.train.steps = 12;
  cut.train.eval_every = 2;
  train_quietly(cut);
  CHECK(sha_of(folder / "cut", "last.safetensors") != sha_of(folder / "cut", "best.safetensors"));
}

TEST_CASE("run: an image that cannot be decoded is reported once, whichever split it is in") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  const auto write_and_break = [&](const std::string& split) {
    write_tiny_scenes(folder / "data", 3, split);
    const fs::path image = folder / "data/JPEGImages" / (split + "_00001.png");
    fs::resize_file(image, fs::file_size(image) / 2);
  };
  const auto faults = [&](const std::string& name, const std::string& val, const std::string& test) {
    RunOptions run = tiny_run(folder / "data", folder / name);
    run.train.val = val;
    run.train.test = test;
    run.train.eval_every = 1;
    train_quietly(run);
    std::ifstream file(folder / name / "summary.json");
    return nlohmann::json::parse(file).at("faults").get<int>();
  };
  write_and_break("val");
  write_and_break("test");
  CHECK(faults("both", "val", "test") == 2);
  CHECK(faults("val", "val", "none") == 1);
  CHECK(faults("one", "val", "val") == 1);
  // If none can be decoded, the run ends with the names of the split and of the first file.
  write_broken_split(folder / "data");
  RunOptions run = tiny_run(folder / "data", folder / "broken");
  run.train.val = "broken";
  const std::string said = input_error([&] { train_quietly(run); });
  CHECK(contains(said, "None of the 1 images of the split 'broken' can be decoded; the first fault: "));
  CHECK(contains(said, "broken_00000.png"));
}

TEST_CASE("run: averaged weights are evaluated and kept, and resume exactly") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  write_tiny_scenes(folder / "data", 2, "val");
  RunOptions plain = tiny_run(folder / "data", folder / "plain");
  train_quietly(plain);
  RunOptions averaged = tiny_run(folder / "data", folder / "averaged");
  averaged.train.ema = 0.9f;
  train_quietly(averaged);
  CHECK(sha_of(folder / "plain", "best.safetensors") != sha_of(folder / "averaged", "best.safetensors"));

  // Training itself does not use the average: the last weights are the same.
  const SafetensorsFile a = read_safetensors(folder / "plain/last.safetensors");
  const SafetensorsFile b = read_safetensors(folder / "averaged/last.safetensors");
  size_t averages = 0;
  for (const auto& [name, tensor] : b.tensors) averages += name.starts_with("ema.");
  CHECK(averages > 0);
  CHECK(a.tensors.size() + averages == b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    if (tensor.dtype() != DType::f32) continue;
    const auto one = tensor.values<float>(), other = b.tensors.at(name).values<float>();
    CHECK_MESSAGE(std::equal(one.begin(), one.end(), other.begin(), other.end()), name);
  }
}

TEST_CASE(
    "run: steps of several batches give other weights than steps of one batch, the same ones every time") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  const auto weights = [&](const std::string& name, int64_t accumulate) {
    RunOptions run = tiny_run(folder / "data", folder / name);
    run.train.accumulate = accumulate;
    train_quietly(run);
    return sha_of(folder / name, "best.safetensors");
  };
  const std::string two = weights("two", 2);
  CHECK(weights("again", 2) == two);
  CHECK(weights("one", 1) != two);
  const auto summary = nlohmann::json::parse(content_of(folder / "two/summary.json"));
  CHECK(summary.at("images_seen") == 6 * 2 * 2);
}

TEST_CASE("run: augmentation is the same with any number of workers") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 6);
  const auto weights = [&](int64_t workers) {
    const std::string name = "w" + std::to_string(workers);
    RunOptions run = tiny_run(folder / "data", folder / name);
    augment_all(run.train);
    run.train.workers = workers;
    train_quietly(run);
    return sha_of(folder / name, "best.safetensors");
  };
  const std::string first = weights(0);
  CHECK(weights(1) == first);
  CHECK(weights(3) == first);
}

TEST_CASE("run: --minutes limits the time") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.steps = 0;
  run.train.minutes = 0.05f;
  train_quietly(run);
  const auto summary = nlohmann::json::parse(content_of(folder / "out/summary.json"));
  CHECK(summary.at("train_seconds") >= 2.9);
  CHECK(summary.at("train_seconds") < 30);
  CHECK(summary.at("steps") == lines_of(folder / "out/metrics.jsonl").size());
  // The schedule follows the clock as well. Where a step takes a second, under a sanitizer beside other work,
  // there are too few to see it.
  const auto steps = lines_of(folder / "out/metrics.jsonl");
  if (steps.size() > 20) CHECK(steps.back().at("lr").get<double>() < 0.019);  // of .02
}

TEST_CASE("run: small datasets get many epochs, large ones twelve, large images fewer") {
  CHECK(default_epochs(160, 240) == 75);
  CHECK(default_epochs(160, 480) == 38);
  CHECK(default_epochs(160, 800) == 38);
  CHECK(default_epochs(1, 240) == 100);
  CHECK(default_epochs(118000, 800) == 12);
}

TEST_CASE("run: few epochs train on unchanged images, many on augmented ones") {
  TrainConfig few, many, own;
  settle_augmentation(few, 12);
  CHECK(few.crop == 0);
  CHECK(few.scale_jitter == 0);
  CHECK(few.colour_jitter == 0);
  settle_augmentation(many, 38);
  CHECK(many.crop == 0.5f);
  CHECK(many.scale_jitter == 0.25f);
  CHECK(many.colour_jitter == 0.15f);
  own.crop = 0.1f;
  own.scale_jitter = 0;
  own.colour_jitter = 0.9f;
  settle_augmentation(own, 38);
  CHECK(own.crop == 0.1f);
  CHECK(own.scale_jitter == 0);
  CHECK(own.colour_jitter == 0.9f);
}

TEST_CASE("run: settings that are left open follow from the data") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 10);
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.lr = 0;
  run.suited = {false, true};
  train_quietly(run);
  const auto metadata = read_safetensors(folder / "out/last.safetensors").metadata;
  CHECK(metadata.at("setting.lr") == "0.02");  // .01 per image, two images
  CHECK(metadata.at("setting.anchor-sizes") != format_value(run.model.anchor_sizes));
  CHECK(metadata.at("model.anchor-sizes") == metadata.at("setting.anchor-sizes"));
  CHECK(load_model(folder / "out/best.safetensors").model->config.short_side == 64);
}

TEST_CASE("run: Ctrl-C finishes the step, and the resumed run reaches the same weights") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_tiny_scenes(folder / "data", 2, "val");
  REQUIRE(Process(command(program, folder / "data", folder / "whole", "14")).wait() == 0);

  const auto words = command(program, folder / "data", folder / "stopped", "14");
  Process process(words);
  const fs::path metrics = folder / "stopped/metrics.jsonl";
  while (process.running() && !(fs::exists(metrics) && lines_of(metrics).size() >= 3))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  process.signal(SIGINT);
  CHECK(process.wait() == 128 + SIGINT);
  CHECK(contains(process.err(), "rcnn: stopped after step "));
  CHECK(contains(process.err(), "--resume"));
  REQUIRE(fs::exists(folder / "stopped/last.safetensors"));
  CHECK_FALSE(fs::exists(folder / "stopped/summary.json"));

  std::vector<std::string> resuming = words;
  resuming.emplace_back("--resume");
  Process second(resuming);
  REQUIRE(second.wait() == 0);
  CHECK(contains(second.out(), "resuming after step "));
  for (const char* file : {"best.safetensors", "metrics.jsonl"})
    CHECK_MESSAGE(sha_of(folder / "stopped", file) == sha_of(folder / "whole", file), file);
}

TEST_CASE("run: killed at any moment, with all random choices and averages, it ends with the same weights") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_tiny_scenes(folder / "data", 2, "val");
  REQUIRE(Process(command(program, folder / "data", folder / "whole", "14")).wait() == 0);
  std::vector<std::string> resuming = command(program, folder / "data", folder / "killed", "14");
  resuming.emplace_back("--resume");
  const fs::path metrics = folder / "killed/metrics.jsonl";
  RandomSequence random(4711, Purpose::test);
  int kills = 0;
  for (const size_t lines : {2, 6, 11}) {
    Process process(resuming);
    while (process.running() && !(fs::exists(metrics) && lines_of(metrics).size() >= lines))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(30000)));
    kills += process.kill_and_wait() == 128 + SIGKILL;
  }
  CHECK(kills > 0);
  Process last(resuming);
  REQUIRE(last.wait() == 0);
  for (const char* file : {"best.safetensors", "metrics.jsonl"})
    CHECK_MESSAGE(sha_of(folder / "killed", file) == sha_of(folder / "whole", file), file);
}

TEST_CASE("run: a checkpoint of another instruction set resumes with a warning") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  std::vector<std::string> words = command(program, folder / "data", folder / "out", "2");
  REQUIRE(Process(words).wait() == 0);
  words.emplace_back("--resume");
  const auto warning = [&] {
    Process process(words);
    CHECK(process.wait() == 0);
    const std::string out = process.out();
    const size_t begin = out.find("warning: the checkpoint was written with ");
    return begin == std::string::npos ? "" : out.substr(begin, out.find('\n', begin) - begin);
  };
  CHECK(warning().empty());
  const fs::path last = folder / "out/last.safetensors";
  SafetensorsFile file = read_safetensors(last);
  std::string& saved = file.metadata["numerics"];
  const size_t end = saved.find(" kernels"), begin = saved.rfind(' ', end - 1) + 1;
  REQUIRE(end != std::string::npos);
  saved.replace(begin, end - begin, "AVX-1024");
  write_safetensors(last, listed(file), file.metadata);
  const std::string found = warning();
  CAPTURE(found);
  CHECK(contains(found, ", AVX-1024 kernels, "));
  CHECK(contains(found, ", this is "));
  CHECK(found.ends_with("the weights will differ in their last bits"));
}

TEST_CASE("run: an evaluation that failed is made up for by the resumed run") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_tiny_scenes(folder / "data", 1, "val");
  const auto run_into = [&](const char* out, int64_t steps) {
    RunOptions run = tiny_run(folder / "data", folder / out);
    run.train.val = "val";
    run.train.steps = steps;
    return run;
  };
  const fs::path image = folder / "data/JPEGImages/val_00000.png";
  const std::string bytes = content_of(image);
  for (const int64_t steps : {6, 4}) {  // evaluations after 4 steps, an epoch, and at the end
    CAPTURE(steps);
    const std::string whole = "whole" + std::to_string(steps), out = "out" + std::to_string(steps);
    train_quietly(run_into(whole.c_str(), steps));
    RunOptions run = run_into(out.c_str(), steps);
    write_text(image, bytes.substr(0, bytes.size() / 2));
    CHECK(contains(input_error([&] { train_quietly(run); }), "can be decoded"));
    const auto last = [&] { return read_safetensors(folder / out / "last.safetensors").metadata; };
    CHECK(last().at("step") == "4");
    CHECK(last().contains("evaluation_due"));
    write_text(image, bytes);
    run.resume = true;
    train_quietly(run);
    CHECK(content_of(folder / out / "metrics.jsonl") == content_of(folder / whole / "metrics.jsonl"));
    CHECK(sha_of(folder / out, "best.safetensors") == sha_of(folder / whole, "best.safetensors"));
    CHECK_FALSE(last().contains("evaluation_due"));
  }
}
