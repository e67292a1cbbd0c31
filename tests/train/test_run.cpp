// Whole training runs: their files, and that the same settings give the same bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/files/safetensors.h"
#include "core/files/sha256.h"
#include "report/overlay.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"
#include "train/checkpoint.h"
#include "train/config.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string weights_of(const fs::path& out) { return sha256_hex_of_file(out / "best.safetensors"); }

int64_t step_of(const fs::path& checkpoint) {
  return std::stoll(read_safetensors(checkpoint).metadata.at("step"));
}

/// The number of values in the file that are not finite.
size_t count_not_finite(const fs::path& weights) {
  size_t count = 0;
  for (const auto& [name, tensor] : read_safetensors(weights).tensors)
    if (tensor.dtype() == DType::f32)
      for (const float value : tensor.values<float>()) count += !std::isfinite(value);
  return count;
}

/// The message of the Error that stops training.
std::string training_error(const RunOptions& run) {
  try {
    train_quietly(run);
  } catch (const InputError& error) {
    FAIL("an InputError, although the input is not at fault: ", error.what());
  } catch (const Error& error) {
    return error.what();
  }
  FAIL("expected an Error");
  return {};
}

/// Runs until the end of the first epoch, step 4, and stops there with an error. The last checkpoint is that
/// of the largest multiple of `checkpoint_every` below 4.
void run_and_stop(RunOptions run, int64_t checkpoint_every) {
  run.train.val = "broken";
  run.train.checkpoint_every = checkpoint_every;
  CHECK(contains(input_error([&] { train_quietly(run); }), "can be decoded"));
}

TrainConfig rates(const std::string& schedule, float warmup) {
  TrainConfig config;
  config.lr = 0.08f;
  config.schedule = schedule;
  config.warmup = warmup;
  config.warmup_factor = 0.1f;
  config.milestones = {{2, 3}};
  config.gamma = 0.1f;
  return config;
}

}  // namespace

TEST_CASE("run: the same seed gives the same weights with any number of workers, another seed does not") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 7);  // not a multiple of the batch
  const auto weights = [&](int64_t workers, int64_t seed) {
    RunOptions run =
        tiny_run(folder / "data", folder / ("w" + std::to_string(workers) + "s" + std::to_string(seed)));
    run.train.workers = workers;
    run.train.seed = seed;
    fs::remove_all(run.train.out);
    train_quietly(run);
    return weights_of(run.train.out);
  };
  const std::string first = weights(1, 1);
  CHECK(weights(1, 1) == first);
  for (const int64_t workers : {0, 2, 5}) {
    CAPTURE(workers);
    CHECK(weights(workers, 1) == first);
  }
  CHECK(weights(1, 2) != first);
}

TEST_CASE("run: a stopped and resumed run equals one that was never stopped") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_broken_split(folder / "data");
  const RunOptions whole = tiny_run(folder / "data", folder / "whole");
  train_quietly(whole);
  const std::string metrics = content_of(folder / "whole" / "metrics.jsonl");
  REQUIRE(count_lines(folder / "whole" / "metrics.jsonl") == 6);

  for (const int64_t checkpoint_every : {1, 2, 10}) {
    CAPTURE(checkpoint_every);
    const fs::path out = folder / ("every" + std::to_string(checkpoint_every));
    RunOptions run = tiny_run(folder / "data", out);
    run_and_stop(run, checkpoint_every);
    CHECK_FALSE(fs::exists(out / "best.safetensors"));
    CHECK(count_lines(out / "metrics.jsonl") == 4);
    CHECK(step_of(out / "last.safetensors") == 4);  // the failed evaluation cost no step

    run.resume = true;
    train_quietly(run);
    CHECK(weights_of(out) == weights_of(folder / "whole"));
    CHECK(content_of(out / "metrics.jsonl") == metrics);
    CHECK(step_of(out / "last.safetensors") == 6);
  }
}

TEST_CASE("run: resuming a finished run changes nothing") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = tiny_run(folder / "data", folder / "out");
  train_quietly(run);
  const std::string weights = weights_of(run.train.out);
  const std::string metrics = content_of(folder / "out" / "metrics.jsonl");
  run.resume = true;
  train_quietly(run);
  CHECK(weights_of(run.train.out) == weights);
  CHECK(content_of(folder / "out" / "metrics.jsonl") == metrics);
}

TEST_CASE("run: resuming with another setting is refused, naming the setting") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_broken_split(folder / "data");
  const RunOptions stopped = tiny_run(folder / "data", folder / "out");
  run_and_stop(stopped, 1);
  const std::string before = content_of(folder / "out" / "last.safetensors");

  const auto refusal = [&](const std::string& key, const std::string& text) {
    RunOptions run = stopped;
    run.resume = true;
    REQUIRE(
        (set_field(run.model, model_fields(), key, text) || set_field(run.train, train_fields(), key, text)));
    const std::string sentence = input_error([&] { train_quietly(run); });
    CHECK(contains(sentence, "last.safetensors"));
    return sentence;
  };
  CHECK(contains(refusal("lr", "0.03"), "--lr '0.02', not '0.03'"));
  CHECK(contains(refusal("seed", "2"), "--seed '1', not '2'"));
  CHECK(contains(refusal("batch", "4"), "--batch '2', not '4'"));
  CHECK(contains(refusal("steps", "7"), "--steps '6', not '7'"));
  // What to do instead names a file that is there.
  CHECK(contains(refusal("steps", "7"), "--weights " + (folder / "out/last.safetensors").string()));
  CHECK(contains(refusal("flip-vertical", "true"), "--flip-vertical 'false', not 'true'"));
  CHECK(contains(refusal("box-head-size", "16"), "--box-head-size '32', not '16'"));
  CHECK(contains(refusal("anchor-sizes", "8,16;32,45;64,90"), "--anchor-sizes '16,23; 32,45; 64,90', not"));
  CHECK(content_of(folder / "out" / "last.safetensors") == before);
}

TEST_CASE("run: a folder that holds a run is refused without --resume and not changed") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  const RunOptions run = tiny_run(folder / "data", folder / "out");
  train_quietly(run);
  const std::string weights = weights_of(run.train.out);
  const std::string summary = content_of(folder / "out" / "summary.json");
  const auto refused = [&] { return input_error([&] { train_quietly(run); }); };
  CHECK(contains(refused(), run.train.out + ": this folder already holds a run"));
  fs::remove(folder / "out" / "last.safetensors");
  CHECK(contains(refused(), "--resume"));
  CHECK(weights_of(run.train.out) == weights);
  CHECK(content_of(folder / "out" / "summary.json") == summary);
}

TEST_CASE("run: the summary, the metrics and the report") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  write_tiny_scenes(folder / "data", 2, "test");
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.val = run.train.test = "test";
  train_quietly(run);

  const auto summary = nlohmann::json::parse(content_of(folder / "out" / "summary.json"));
  CHECK(summary.at("steps") == 6);
  CHECK(summary.at("images_seen") == 12);
  CHECK(summary.at("weights_sha256") == weights_of(run.train.out));
  // The recommended thresholds are in the model's file; a class that was never found has none.
  const Detector detector = load_model(folder / "out" / "best.safetensors");
  REQUIRE(detector.confidence.size() == detector.classes.size());
  for (size_t i = 0; i < detector.classes.size(); ++i) {
    const auto& recommended = summary.at("diagnosis").at("recommended");
    if (!recommended.contains(detector.classes[i]) || recommended.at(detector.classes[i]).at("f1") == 0)
      CHECK(std::isnan(detector.confidence[i]));
    else
      CHECK(detector.confidence[i] == recommended.at(detector.classes[i]).at("score").get<float>());
  }
  CHECK(summary.at("command_line") == "rcnn train 'a b'");
  CHECK(summary.at("split") == "test");
  const double seconds = summary.at("train_seconds");
  CHECK(seconds > 0);
  CHECK(summary.at("images_per_second").get<double>() == doctest::Approx(12 / seconds));
  double sum = 0, sum07 = 0;
  REQUIRE(!summary.at("ap50").empty());
  for (const auto& [name, ap] : summary.at("ap50").items()) {
    sum += ap.get<double>();
    sum07 += summary.at("ap50_voc07").at(name).get<double>();
  }
  const auto classes = static_cast<double>(summary.at("ap50").size());
  CHECK(summary.at("map50").get<double>() == doctest::Approx(sum / classes));
  CHECK(summary.at("map50_voc07").get<double>() == doctest::Approx(sum07 / classes));

  std::vector<double> evaluated;
  std::ifstream metrics(folder / "out" / "metrics.jsonl");
  int64_t step = 0;
  for (std::string text; std::getline(metrics, text);) {
    const auto line = nlohmann::json::parse(text);
    if (line.contains("val_map50")) {
      evaluated.push_back(line.at("step"));
      continue;
    }
    CHECK(line.at("step") == ++step);
    const double terms = line.at("rpn_cls").get<double>() + line.at("rpn_box").get<double>() +
                         line.at("cls").get<double>() + line.at("box").get<double>();
    CHECK(line.at("loss").get<double>() == doctest::Approx(terms));
    const float rate = learning_rate(run.train, step - 1, 6, 2);
    CHECK(line.at("lr").get<double>() == static_cast<double>(rate));
  }
  CHECK(step == 6);
  CHECK(evaluated == std::vector<double>{2, 4, 6});  // an epoch is 2 steps

  CHECK(nlohmann::json::parse(content_of(folder / "out" / "detections.json")).is_array());
  const std::string report = content_of(folder / "out" / "report.html");
  CHECK(contains(report, summary.at("weights_sha256").get<std::string>()));
  for (const char* fetch : {"http://", "https://", "src=\"/", "<link"}) {
    CAPTURE(fetch);
    CHECK_FALSE(contains(report, fetch));
  }
  CHECK(contains(report, fmt::format("<script>{}</script>", kPictureScript)));  // the page's own
  CHECK(report.find("<script") == report.rfind("<script"));
}

TEST_CASE("run: without a split to evaluate there is no mAP in the summary") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 2);
  const RunOptions run = tiny_run(folder / "data", folder / "out");
  train_quietly(run);
  const auto summary = nlohmann::json::parse(content_of(folder / "out" / "summary.json"));
  CHECK_FALSE(summary.contains("map50"));
  CHECK(summary.at("steps") == 6);
}

TEST_CASE("learning rate: the schedules without warm-up") {
  const auto near = [](float found, double wanted) {
    return std::abs(static_cast<double>(found) - wanted) <= 1e-8;
  };
  const TrainConfig cosine = rates("cosine", 0);
  CHECK(near(learning_rate(cosine, 0, 100, 10), 0.08));
  CHECK(near(learning_rate(cosine, 25, 100, 10), 0.08 * 0.853553391));
  CHECK(near(learning_rate(cosine, 50, 100, 10), 0.04));
  CHECK(near(learning_rate(cosine, 75, 100, 10), 0.08 * 0.146446609));
  CHECK(near(learning_rate(cosine, 99, 100, 10), 0.08 * 0.000246720));
  const TrainConfig step = rates("step", 0);
  CHECK(near(learning_rate(step, 0, 100, 10), 0.08));
  CHECK(near(learning_rate(step, 19, 100, 10), 0.08));
  CHECK(near(learning_rate(step, 20, 100, 10), 0.008));
  CHECK(near(learning_rate(step, 29, 100, 10), 0.008));
  TrainConfig part = step;  // as in a part of alternating training
  part.milestones = {{1.5f, 3}};
  CHECK(near(learning_rate(part, 14, 100, 10), 0.08));
  CHECK(near(learning_rate(part, 15, 100, 10), 0.008));
  CHECK(near(learning_rate(step, 30, 100, 10), 0.0008));
  CHECK(near(learning_rate(rates("constant", 0), 99, 100, 10), 0.08));
}

TEST_CASE("learning rate: warm-up multiplies the schedule") {
  const auto near = [](float found, double wanted) {
    return std::abs(static_cast<double>(found) - wanted) <= 1e-8;
  };
  const TrainConfig constant = rates("constant", 10);
  CHECK(near(learning_rate(constant, 0, 100, 10), 0.08 * 0.1));
  CHECK(near(learning_rate(constant, 5, 100, 10), 0.08 * 0.55));
  CHECK(near(learning_rate(constant, 9, 100, 10), 0.08 * 0.91));
  CHECK(near(learning_rate(constant, 10, 100, 10), 0.08));
  CHECK(near(learning_rate(rates("cosine", 50), 25, 100, 10), 0.08 * 0.853553391 * 0.55));
  CHECK(near(learning_rate(rates("step", 40), 20, 100, 10), 0.008 * 0.55));
}

TEST_CASE("run: a learning rate that makes training diverge stops it, and the last good checkpoint stays") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  for (const int64_t checkpoint_every : {1, 2}) {
    CAPTURE(checkpoint_every);
    RunOptions run = tiny_run(folder / "data", folder / ("out" + std::to_string(checkpoint_every)));
    run.train.lr = 1e30f;
    run.train.steps = 40;
    run.train.schedule = "constant";
    run.train.warmup = 3;
    run.train.warmup_factor = 0;  // the first step changes nothing
    run.train.checkpoint_every = checkpoint_every;
    const std::string sentence = training_error(run);
    CAPTURE(sentence);
    CHECK(contains(sentence, "steps 3 to 12: no loss was finite"));
    CHECK(contains(sentence, "--lr"));
    const fs::path last = fs::path(run.train.out) / "last.safetensors";
    CHECK(step_of(last) == 2);
    CHECK(count_not_finite(last) == 0);
    CHECK(load_model(last).classes.size() > 0);
    CHECK_FALSE(fs::exists(fs::path(run.train.out) / "best.safetensors"));
    CHECK(count_lines(fs::path(run.train.out) / "metrics.jsonl") == 12);
  }
}

TEST_CASE("run: weights with an infinity are refused before anything is trained") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = tiny_run(folder / "data", folder / "first");
  train_quietly(run);
  SafetensorsFile file = read_safetensors(folder / "first" / "best.safetensors");
  file.tensors.at("rpn.head.cls_logits.bias").fill(INFINITY);
  write_safetensors(folder / "inf.safetensors", listed(file), file.metadata);

  run.train.out = (folder / "second").string();
  run.train.weights = (folder / "inf.safetensors").string();
  const std::string refusal = input_error([&] { train_quietly(run); });
  CHECK(contains(refusal, "inf.safetensors: tensor 'rpn.head.cls_logits.bias' has the value inf"));
  CHECK_FALSE(fs::exists(folder / "second" / "last.safetensors"));
  CHECK_FALSE(fs::exists(folder / "second" / "best.safetensors"));
}

TEST_CASE("run: a run that is killed and resumed several times gives the weights of an uninterrupted one") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  const auto words = [&](const std::string& out) {
    std::vector<std::string> list = {program.string(),           "train", "--data",
                                     (folder / "data").string(), "--out", (folder / out).string()};
    for (const auto& [key, text] : tiny_settings()) {
      list.push_back("--" + key);
      list.push_back(key == "steps" ? "14" : text);
    }
    list.insert(list.end(), {"--checkpoint-every", "1"});
    return list;
  };
  REQUIRE(Process(words("whole")).wait() == 0);

  std::vector<std::string> resuming = words("killed");
  resuming.emplace_back("--resume");
  const fs::path metrics = folder / "killed" / "metrics.jsonl";
  RandomSequence random(20240, Purpose::test);
  int kills = 0;
  for (const int64_t step : {1, 4, 7, 10}) {  // it is killed after the line of this step is written ...
    Process process(resuming);
    while (process.running() && !(fs::exists(metrics) && count_lines(metrics) >= step))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(20000)));  // ... at a random moment
    kills += process.kill_and_wait() == 128 + SIGKILL;
  }
  CHECK(kills > 0);
  Process process(resuming);
  REQUIRE(process.wait() == 0);
  CHECK(contains(process.out(), "resuming after step "));
  CHECK(weights_of(folder / "killed") == weights_of(folder / "whole"));
  CHECK(content_of(metrics) == content_of(folder / "whole" / "metrics.jsonl"));
}
