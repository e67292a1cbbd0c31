#include "bench/model_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "bench/capture.h"
#include "bench/step_profile.h"
#include "bench/timing.h"
#include "core/cuda/device.h"
#include "core/files/output.h"
#include "core/rng.h"
#include "models/pretrained.h"
#include "models/transform.h"
#include "train/step.h"

namespace rcnn {
namespace {

using Clock = std::chrono::steady_clock;

/// What a step works on.
struct BenchImages {
  int count = 1, height = 0, width = 0;
  std::string text() const {
    return fmt::format("{} image{} of {} x {} pixels", count, count == 1 ? "" : "s", width, height);
  }
};

template <class F>
void measure(const ModelBenchOptions& options, Context& ctx, FasterRcnn& model, const char* what,
             const BenchImages& images, F&& step) {
  for (int i = 0; i < options.warm_up; ++i) step();
  const auto wait = [&] {
    if (ctx.device.type == DeviceType::cuda) cuda::synchronize(ctx.device);
  };
  wait();
  std::vector<double> seconds;
  std::optional<StepProfile> profile;
  if (options.profile) profile.emplace(ctx, model);
  const bool trains = std::string_view(what) == "train_step";
  const auto capture = make_capture({.file = options.capture,
                                     .what = trains ? "training step" : "detection",
                                     .training = trains,
                                     .command = options.command_line,
                                     .version = options.version,
                                     .warm_up = 0,
                                     .steps = options.steps,
                                     .values = options.capture_values},
                                    options.force, {options.plans});
  size_t found = 0;
  for (int i = 0; i < options.steps; ++i) {
    if (profile) profile->step_begins();
    if (capture) capture->step_begins(ctx);
    const auto start = Clock::now();
    found = step();
    wait();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    if (profile) profile->step_ends();
    if (capture) capture->step_ends(ctx);
  }
  if (options.json)
    fmt::print("{{\"what\": \"{}\", \"detections\": {}, \"seconds\": [{:.6f}]}}\n", what, found,
               fmt::join(seconds, ", "));
  else
    fmt::print("{}: median {:.2f} ms of {} ({:.2f} to {:.2f}); {}, {}\n", what, median(seconds) * 1e3,
               seconds.size(), *std::min_element(seconds.begin(), seconds.end()) * 1e3,
               *std::max_element(seconds.begin(), seconds.end()) * 1e3, options.model, images.text());
  if (!profile) return;
  ctx.observer = nullptr;
  profile->print(options.profile_by, static_cast<size_t>(options.profile_rows),
                 options.json ? stderr : stdout);
  if (!options.trace.empty()) profile->write_trace(options.trace, options.version);
}

}  // namespace

void bench_model(Context& ctx, const ModelBenchOptions& options) {
  check_input(options.what.size() == 1 || (options.trace.empty() && options.capture.empty()),
              "--trace and --capture write one file, so --what has to name one thing, not {}",
              options.what.size());
  if (!options.trace.empty()) check_extension("--trace", options.trace, ".json");
  OutputCheck outputs(options.force);
  outputs.reads(options.plans);
  if (!options.trace.empty()) outputs.writes("--trace", options.trace);
  ModelConfig config = model_config(options.model);
  config.short_side = std::min(options.height, options.width);
  config.long_side = std::max(options.height, options.width);
  FasterRcnn model(config, options.classes, Init(1));
  freeze_stages(model, config.frozen_stages);
  move_to(model, ctx.device);
  Sgd sgd(ctx, model, {});

  RandomSequence random(1, Purpose::test);
  const auto noise = [&](int count, int height, int width) {
    std::vector<uint8_t> bytes(static_cast<size_t>(count) * static_cast<size_t>(height) *
                               static_cast<size_t>(width) * 3);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
    return bytes;
  };
  std::vector<uint8_t> bytes = noise(options.batch, options.height, options.width);
  const size_t size = bytes.size() / static_cast<size_t>(options.batch);
  std::vector<RawImage> images;
  for (int i = 0; i < options.batch; ++i)
    images.push_back({bytes.data() + size * static_cast<size_t>(i), options.height, options.width});

  const int64_t n = options.batch, g = options.objects;
  GroundTruth truth{Tensor::zeros({n, g, 4}, DType::f32), Tensor::zeros({n, g}, DType::i32),
                    Tensor::zeros({n}, DType::i32), Tensor::zeros({n}, DType::i32)};
  truth.count.fill(static_cast<double>(g));
  for (int64_t i = 0; i < n * g; ++i) {
    float* box = truth.boxes.mutable_data<float>() + i * 4;
    const auto height = static_cast<float>(options.height), width = static_cast<float>(options.width);
    const float w = random.uniform(0.05f, 0.4f) * width, h = random.uniform(0.05f, 0.4f) * height;
    box[0] = random.uniform(0, width - w);
    box[1] = random.uniform(0, height - h);
    box[2] = box[0] + w;
    box[3] = box[1] + h;
    truth.labels.mutable_data<int32_t>()[i] =
        1 + static_cast<int32_t>(random.below(static_cast<uint32_t>(options.classes)));
  }
  for (int64_t i = 0; i < n; ++i) truth.image_id.mutable_data<int32_t>()[i] = static_cast<int32_t>(i);

  for (Tensor* tensor : {&truth.boxes, &truth.labels, &truth.count, &truth.image_id})
    *tensor = tensor->to(ctx.device);

  const auto wanted = [&](const char* what) {
    return std::find(options.what.begin(), options.what.end(), what) != options.what.end();
  };
  if (options.json) fmt::print("{{\"what\": \"versions\", \"rcnn\": \"{}\"}}\n", options.version);
  if (wanted("train_step")) {
    int step = 0;
    TrainingStep training_step(ctx, model, sgd, options.cuda_graph);
    measure(options, ctx, model, "train_step", {options.batch, options.height, options.width}, [&] {
      training_step.run(step++, 1e-4f, {make_image_batch(ctx, config, images), truth});
      return static_cast<size_t>(0);
    });
  }

  ctx.grad = ctx.training = false;
  const int detect_height = options.detect_height > 0 ? options.detect_height : options.height,
            detect_width = options.detect_width > 0 ? options.detect_width : options.width;
  model.config.short_side = config.short_side = std::min(detect_height, detect_width);
  model.config.long_side = config.long_side = std::max(detect_height, detect_width);
  bytes = noise(1, detect_height, detect_width);
  const RawImage unseen{bytes.data(), detect_height, detect_width};
  const auto one_image = [&] { return make_image_batch(ctx, config, {&unseen, 1}); };
  // A recorded detection always reads the input tensor that it was recorded with, so images are copied into
  // `input`.
  RecordedWork recorded(ctx, options.cuda_graph);
  const ImageBatch input = one_image();
  Detections kept;
  if (wanted("detect"))
    measure(options, ctx, model, "detect", {1, detect_height, detect_width}, [&] {
      Detections found;
      if (!options.cuda_graph || ctx.observer) {
        found = model.detect(ctx, one_image());
      } else {
        input.pixels.copy_from(one_image().pixels);
        recorded.run([&](Context& own) {
          kept = {};
          kept = model.detect(own, input);
        });
        found = kept;
      }
      return static_cast<size_t>(found.count.to(Device{}).item<int32_t>());
    });
  if (wanted("dense"))
    measure(options, ctx, model, "dense", {1, detect_height, detect_width}, [&] {
      model.predict_anchors(ctx, input);
      return static_cast<size_t>(0);
    });
}

}  // namespace rcnn
