// Profiles, traces and captures of a small model.
#include <fmt/format.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/capture.h"
#include "bench/case_json.h"
#include "bench/step_profile.h"
#include "core/files/atomic_file.h"
#include "models/pretrained.h"
#include "tests/models/models.h"
#include "tests/program.h"
#include "train/step.h"

namespace rcnn {
namespace {

using namespace fixtures;

/// A small model that can be trained.
struct Trial {
  Context ctx;
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  Sgd sgd{ctx, model, {}};
  TrainingStep training{ctx, model, sgd, false};
  int64_t steps = 0;

  void step() { training.run(steps++, 1e-4f, TrainingBatch{noise(2, 32, 48, DType::f32), two_images()}); }
};

std::map<std::string, StepProfile::Row> by_name(const std::vector<StepProfile::Row>& rows) {
  std::map<std::string, StepProfile::Row> named;
  for (const StepProfile::Row& row : rows) named[row.name] = row;
  return named;
}

TEST_CASE("profile: the calls of a training step are given to their layers, gradients too") {
  Trial trial;
  trial.step();
  StepProfile profile(trial.ctx, trial.model);
  for (int i = 0; i < 2; ++i) {
    profile.step_begins();
    trial.step();
    profile.step_ends();
  }
  const auto layers = by_name(profile.rows(StepProfile::By::layer));
  // fc6: the product, the bias and ReLU of the gradient, dw and dx. Twice, for two steps.
  REQUIRE(layers.contains("roi_heads.box_head.fc6"));
  CHECK(layers.at("roi_heads.box_head.fc6").calls == 2 * 4);
  // The first convolution has no dx.
  REQUIRE(layers.contains("backbone.body.conv1"));
  CHECK(layers.at("backbone.body.conv1").calls == 2 * 2);
  CHECK(layers.at("backbone.body.bn1").calls == 2 * 2);
  CHECK(layers.at("sgd").calls == 2 * 2);
  for (const char* name :
       {"rpn.head.conv.0.0", "rpn.proposals", "rpn.targets", "roi_heads.targets", "losses"})
    CHECK(layers.contains(name));
  CHECK(!layers.contains("(no layer)"));

  const auto both = by_name(profile.rows(StepProfile::By::layer_and_op));
  int64_t calls = 0;
  double seconds = 0;
  for (const auto& [name, row] : both) calls += row.calls, seconds += row.seconds;
  int64_t calls_of_ops = 0;
  double seconds_of_ops = 0;
  const auto ops = profile.rows(StepProfile::By::op);
  for (const auto& row : ops) calls_of_ops += row.calls, seconds_of_ops += row.seconds;
  CHECK(calls == calls_of_ops);
  CHECK(seconds == doctest::Approx(seconds_of_ops));
  for (size_t i = 1; i < ops.size(); ++i) CHECK(ops[i - 1].seconds >= ops[i].seconds);

  const StepProfile::Memory memory = profile.memory();
  CHECK(memory.before > 0);
  CHECK(memory.peak > memory.before);
  int64_t growth = 0;
  for (const auto& [layer, bytes] : memory.growth) growth += bytes;
  CHECK(memory.before + growth == memory.peak);
}

TEST_CASE("profile: a trace is JSON of the Trace Event Format, its ops within their steps") {
  Trial trial;
  StepProfile profile(trial.ctx, trial.model);
  profile.step_begins();
  trial.step();
  profile.step_ends();
  const TemporaryFolder folder;
  profile.write_trace(folder / "trace.json", "a version");
  const auto json = nlohmann::json::parse(content_of(folder / "trace.json"));
  double step_start = 0, step_end = 0;
  std::map<std::string, int> phases;
  double last_end = 0;
  for (const auto& event : json.at("traceEvents")) {
    const std::string phase = event.at("ph");
    ++phases[phase];
    CHECK(event.at("pid").is_number_integer());
    CHECK(event.at("tid").is_number_integer());
    CHECK(event.at("name").is_string());
    if (phase == "M") continue;
    CHECK(event.at("ts").get<double>() >= 0);
    if (phase == "C") {
      CHECK(event.at("args").at("bytes in use").get<int64_t>() > 0);
      continue;
    }
    REQUIRE(phase == "X");
    const double start = event["ts"], end = start + event.at("dur").get<double>();
    if (event["cat"] == "step") step_start = start, step_end = end;
    if (event["cat"] != "op") continue;
    CHECK(start >= step_start);
    CHECK(start >= last_end - 0.002);  // one op after the other; times are rounded to nanoseconds
    CHECK(end <= step_end + 0.002);
    last_end = end;
    for (const char* key : {"variant", "layer", "shape"}) CHECK(event["args"].at(key).is_string());
    for (const char* key : {"flop", "bytes"}) CHECK(event["args"].at(key).is_number());
  }
  CHECK(phases["M"] == 3);
  CHECK(phases["C"] > 50);
  CHECK(phases["X"] > phases["C"]);
}

/// Captures steps 2 and 3 of a training.
Capture capture_training(const std::filesystem::path& file) {
  Trial trial;
  ShapeCapture capture({.file = file, .command = "rcnn x", .version = "v", .warm_up = 1, .steps = 2});
  for (int i = 0; i < 4; ++i) {
    CHECK(capture.written() == (i >= 3));
    capture.step_begins(trial.ctx);
    trial.step();
    capture.step_ends(trial.ctx);
    CHECK(trial.ctx.observer == nullptr);
  }
  return read_capture(file);
}

TEST_CASE("capture: the calls of two steps, written and read, and replayed with the variants of then") {
  const TemporaryFolder folder;
  const Capture capture = capture_training(folder / "shapes.json");
  CHECK(capture.steps == 2);
  CHECK(capture.training);
  CHECK(capture.command == "rcnn x");
  CHECK(capture.step_ms > 0);
  std::map<std::string, int64_t> calls, packed;
  double ms = 0;
  for (const CapturedOp& op : capture.ops) {
    calls[op.op] += op.calls;
    packed[op.op] += op.packed;
    ms += op.ms * static_cast<double>(op.calls) / 2;
  }
  // nano-fpn: 9 convolutions and 2 shortcuts in the backbone, 6 in the pyramid, 3 on each of 3 levels.
  CHECK(calls["conv2d"] == 2 * (9 + 2 + 6 + 9));
  CHECK(calls["conv2d_dw"] == calls["conv2d"]);
  CHECK(calls["conv2d_dx"] == calls["conv2d"] - 2);  // none for the images
  CHECK(calls["batch_norm"] == 2 * 11);
  CHECK(calls["nms"] == 2);
  CHECK(calls["matmul"] == 2 * 4 * 3);
  // Weights are packed once per step for all levels.
  CHECK(packed["conv2d"] == 2 * (9 + 2 + 6 + 3));
  CHECK(packed["nms"] == 0);
  CHECK(ms > 0);
  CHECK(ms < 2 * capture.step_ms);  // the slower of the two steps, by op and in whole
  const auto nms = std::ranges::find(capture.ops, "nms", &CapturedOp::op);
  CHECK(nms->values.size() == 3);  // boxes, scores, groups

  // Indices among the values are places in memory: other values than those that were captured are refused.
  const std::filesystem::path values = values_file(folder / "shapes.json");
  std::string bytes = content_of(values);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_atomically(folder / "other.json", content_of(folder / "shapes.json"));
  write_atomically(values_file(folder / "other.json"), bytes);
  CHECK(contains(
      input_error([&] { read_capture(folder / "other.json"); }),
      values_file(folder / "other.json").string() + ": these are not the values that were captured with"));

  Context ctx;
  const auto replayed = replay(ctx, capture, 0);
  REQUIRE(replayed.size() == capture.ops.size());
  for (size_t i = 0; i < replayed.size(); ++i) {
    CAPTURE(capture.ops[i].op);
    CHECK(replayed[i].ms > 0);
    CHECK(replayed[i].variant == capture.ops[i].variant);
  }
}

TEST_CASE("capture: without values there is one small file; a run that is too short has nothing to write") {
  const TemporaryFolder folder;
  Trial trial;
  ShapeCapture capture({.file = folder / "a.json", .warm_up = 0, .steps = 1, .values = false});
  capture.step_begins(trial.ctx);
  trial.step();
  capture.step_ends(trial.ctx);
  capture.finish();
  CHECK(std::filesystem::exists(folder / "a.json"));
  CHECK(!std::filesystem::exists(folder / "a.json.safetensors"));
  for (const CapturedOp& op : read_capture(folder / "a.json").ops) CHECK(op.values.empty());

  ShapeCapture longer({.file = folder / "b.json", .warm_up = 3, .steps = 1});
  longer.step_begins(trial.ctx);
  trial.step();
  longer.step_ends(trial.ctx);
  const std::string sentence = "--capture " + (folder / "b.json").string() +
                               ": the run ended after 1 step; the first 3 are not recorded, so there is "
                               "nothing to write";
  CHECK_THROWS_WITH_AS(longer.finish(), sentence.c_str(), InputError);
  CHECK(!std::filesystem::exists(folder / "b.json"));
}

TEST_CASE("capture: a file that is none is refused with its name and the entry") {
  const TemporaryFolder folder;
  const std::string path = (folder / "s.json").string();
  const auto refusal = [&](const std::string& text) -> std::string {
    std::ofstream(path) << text;
    try {
      read_capture(path);
    } catch (const InputError& fault) {
      const std::string sentence = fault.what();
      CHECK(sentence.starts_with(path + ": "));
      return sentence.substr(path.size() + 2);
    }
    return "accepted";
  };
  const std::string head =
      R"({"shapes": 1, "what": "detection", "command": "c", "version": "v", "device": "cpu", "threads": 1, )"
      R"("precision": "f32", "training": false, "steps": 1, "step_ms": 1.5, "ops": [)";
  CHECK(refusal("{") == "this is no file of shapes, as --capture writes it");
  CHECK(refusal("[1]") == "this is no file of shapes, as --capture writes it");
  CHECK(refusal(head + "]}") == "\"ops\" is empty");
  CHECK(refusal(head + "3]}") == "entry 0 of \"ops\" is not an object");
  CHECK(refusal(head + R"({"op": "nmx"}]})") == "entry 0 of \"ops\": there is no op nmx");
  CHECK(refusal(head + R"({"op": "nms"}]})") == "entry 0 of \"ops\": there is no text \"variant\"");
  const std::string limits =
      "entry 0 of \"ops\": expected calls from 1 to 1000000000, packed from 0 to calls, and ms from 0 to "
      "1e+09";
  CHECK(refusal(head + R"({"op": "nms", "variant": "v", "calls": 0, "ms": 1, "packed": 0}]})") == limits);
  CHECK(refusal(head + R"({"op": "nms", "variant": "v", "calls": 1, "ms": 1e300, "packed": 0}]})") == limits);
  CHECK(refusal(head + R"({"op": "nms", "variant": "v", "calls": 2.5, "ms": 1, "packed": 0}]})") ==
        "entry 0 of \"ops\": there is no whole number \"calls\"");
  const auto with = [&](const std::string& old, const std::string& changed) {
    std::string other = head + R"({"op": "nms", "variant": "v", "calls": 1, "ms": 1, "packed": 0}]})";
    return refusal(other.replace(other.find(old), old.size(), changed));
  };
  CHECK(with("1.5", "0") == "\"step_ms\" is 0, expected a time above 0 and of at most 1e+09");
  CHECK(with("\"threads\": 1", "\"threads\": -7") == "\"threads\" is -7, expected at least 1");
  CHECK(with("f32", "bf17") == "precision: expected f32 or tf32 or bf16, found 'bf17'");
  CHECK(with("detection", std::string(50, 'x')) == "\"what\" has 50 letters, expected at most 40");
  CHECK(refusal(head + R"({"op": "nms", "variant": "v", "calls": 1, "ms": 1, "packed": 0}]})") == "accepted");
}

TEST_CASE("profile: the command's tables fit a terminal of 100 columns, and lab replay reads its capture") {
  ProgramTrial trial;
  if (!trial) return;
  const std::vector<std::string> sizes{"--height", "48", "--width", "64", "--steps", "2", "--warm-up", "1"};
  const auto run = [&](std::vector<std::string> words, bool sized = true) {
    if (sized) words.insert(words.end(), sizes.begin(), sizes.end());
    return trial.run(words);
  };
  for (const std::string what : {"train_step", "detect"}) {
    const Finished result = run({"profile", "--what", what, "--trace", trial.path(what + ".json")});
    CAPTURE(result.err);
    CHECK(result.status == 0);
    for (const char* text : {"op (variant)", "layer", "% roof", "backbone.body.conv1", "memory: "})
      CHECK(contains(result.out, text));
    CHECK(contains(result.out, what == "detect" ? "); nano-fpn, 1 image of 64 x 48 pixels\n"
                                                : "); nano-fpn, 4 images of 64 x 48 pixels\n"));
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK((line.size() <= 100 || line.starts_with("cpu:")));
    }
    CHECK(nlohmann::json::accept(content_of(trial.path(what + ".json"))));
  }
  const std::string shapes = trial.path("shapes.json");
  CHECK(run({"profile", "--capture", shapes, "--no-values"}).status == 0);
  const Finished replayed = run({"lab", "replay", shapes, "--seconds", "0"}, false);
  CAPTURE(replayed.err);
  CHECK(replayed.status == 0);
  for (const char* text : {"conv2d_dw", "all ops", "the replayed ops are"})
    CHECK(contains(replayed.out, text));

  // A step that took far longer than its ops is outside of every bound.
  std::string slow = content_of(shapes);
  const size_t figure = slow.find("\"step_ms\": ") + 11;
  slow.insert(figure, "9999");
  write_atomically(trial.path("slow.json"), slow);
  const Finished outside =
      run({"lab", "replay", trial.path("slow.json"), "--seconds", "0", "--within", "15"}, false);
  CHECK(outside.status == 1);
  CHECK(contains(outside.err, "--within 15: the replayed ops are "));

  const Finished missing = run({"lab", "replay", trial.path("none.json")}, false);
  CHECK(missing.status == 2);
  CHECK(missing.err == "rcnn: " + trial.path("none.json") + " cannot be read: No such file or directory.\n");
  // What another program wrote is not replaced, and nothing is measured before that is known.
  std::ofstream(trial.path("mine.json")) << "[1, 2]";
  const Finished refused = run({"profile", "--trace", trial.path("mine.json")});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "--trace"));
  CHECK(content_of(trial.path("mine.json")) == "[1, 2]");
}

TEST_CASE("lab time --shapes: every call of a step is timed, weighed, and compared with the step") {
  ProgramTrial trial;
  if (!trial) return;
  const std::string shapes = trial.path("shapes.json"), times = trial.path("times.json");
  REQUIRE(trial
              .run({"profile", "--height", "48", "--width", "64", "--batch", "1", "--steps", "2", "--warm-up",
                    "1", "--capture", shapes})
              .status == 0);
  const Capture capture = read_capture(shapes);
  const auto time = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"lab", "time", "--shapes", shapes, "--seconds", "0", "--device", "cpu"});
    return trial.run(words);
  };
  const Finished all = time({"--json", times, "--markdown", trial.path("times.md")});
  CAPTURE(all.err);
  REQUIRE(all.status == 0);
  for (const char* text : {"in turn ms", "all ops", "its calls in turn are "}) CHECK(contains(all.out, text));
  CHECK(contains(content_of(trial.path("times.md")), "The cases are calls of " + shapes));
  std::istringstream lines(all.out);
  for (std::string line; std::getline(lines, line);) CHECK((line.size() <= 100 || line.starts_with("cpu:")));
  const auto json = nlohmann::json::parse(content_of(times));
  const double steps = static_cast<double>(capture.steps);
  std::vector<int> chosen(capture.ops.size());
  double alone = 0, captured = 0;
  for (const auto& row : json["ops"]) {
    const CapturedOp& entry = capture.ops.at(row["case"].get<size_t>());
    CHECK(row["op"] == entry.op);
    CHECK(row["calls"].get<double>() == static_cast<double>(entry.calls) / steps);
    if (!row["chosen"].get<bool>()) continue;
    CHECK(row["variant"] == entry.variant);
    ++chosen[row["case"].get<size_t>()];
    alone += row["calls"].get<double>() * row["ms"].get<double>();
  }
  CHECK(std::ranges::count(chosen, 1) == std::ssize(chosen));
  for (const CapturedOp& entry : capture.ops) captured += static_cast<double>(entry.calls) / steps * entry.ms;
  CHECK(json["step"]["alone_ms"].get<double>() == doctest::Approx(alone));
  CHECK(json["step"]["captured_ms"].get<double>() == doctest::Approx(captured));
  CHECK(json["step"]["fastest_ms"].get<double>() <= alone * 1.0001);
  CHECK(json["step"]["in_turn_ms"].get<double>() > 0);
  CHECK(json["step"]["entries"] == capture.ops.size());

  const Finished some = time({"nms", "roi_align"});
  CHECK(some.status == 0);
  CHECK(contains(some.out, fmt::format("; those of 2 of its {} entries are ", capture.ops.size())));
  CHECK(!contains(some.out, "in turn"));
  const Finished beyond = time({"--case", "900"});
  CHECK(beyond.status == 2);
  CHECK(contains(beyond.err,
                 fmt::format("--case 900: {} has the entries 0 to {}", shapes, capture.ops.size() - 1)));
  CHECK(contains(time({"roi_pool"}).err, "it has no call of the ops that are named"));
  std::string damaged = content_of(shapes);
  damaged.replace(damaged.find("\"stride\":2"), 10, "\"stride\":0");
  write_atomically(trial.path("damaged.json"), damaged);
  std::filesystem::copy(values_file(shapes), values_file(trial.path("damaged.json")));
  const Finished refused =
      trial.run({"lab", "time", "--shapes", trial.path("damaged.json"), "--seconds", "0"});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, trial.path("damaged.json") + ": entry "));
  CHECK(contains(refused.err, "it is not the shape of a convolution"));
}

TEST_CASE("capture: it takes the place of no file that the command reads, and is not among its results") {
  const TemporaryFolder folder;
  const std::filesystem::path annotations = folder / "found.json";
  write_atomically(annotations, R"({"info": "written by rcnn.cu"})");
  std::filesystem::create_directory(folder / "run");
  const auto refusal = [&](const std::filesystem::path& file) {
    return input_error([&] { make_capture({.file = file}, true, {annotations}, folder / "run"); });
  };
  CHECK(contains(refusal(annotations), "the command reads this file"));
  CHECK(contains(refusal(folder / "run/shapes.json"), "is the folder of this command's results"));
  CHECK(contains(refusal(folder / "best.safetensors"), "expected a name that ends in .json"));
  CHECK(make_capture({.file = folder / "shapes.json"}, true, {annotations}, folder / "run") != nullptr);
}

TEST_CASE("files of the lab: nested too deeply, or not a file") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    write_atomically(folder / "a.json", text);
    return input_error([&] { json_of_file<nlohmann::json>(folder / "a.json"); });
  };
  CHECK(contains(refusal(std::string(100000, '[')), "nested more than 32 deep"));
  CHECK(contains(input_error([&] { json_of_file<nlohmann::json>(folder.path()); }), "not a regular file"));
  write_atomically(folder / "a.json", "[[1]]");
  CHECK(json_of_file<nlohmann::json>(folder / "a.json")[0][0] == 1);
}

}  // namespace
}  // namespace rcnn
