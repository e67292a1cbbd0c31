// A training step and a detection on a GPU, real or simulated: the same results as on the CPU, no host waits,
// and captured steps.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "core/cuda/device.h"
#include "core/op_observer.h"
#include "models/transform.h"
#include "tests/train/tiny_run.h"
#include "train/step.h"

#if defined(RCNN_CUDA_SIM)
#include "core/cuda/sim/simulation.h"
#endif

namespace rcnn {
namespace {

constexpr Device kGpu{DeviceType::cuda, 0};

bool no_gpu() {
  if (cuda::device_count() > 0) return false;
  MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
  return true;
}

/// One image of noise with three objects.
TrainingBatch make_batch(Context& ctx, const ModelConfig& config, int64_t height, int64_t width) {
  RandomSequence random(3, Purpose::test);
  std::vector<uint8_t> bytes(static_cast<size_t>(height * width * 3));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
  const RawImage raw{bytes.data(), height, width};
  const auto h = static_cast<float>(height), w = static_cast<float>(width);
  GroundTruth truth{
      Tensor::of<float>({1, 4, 4}, {3, 5, 40, 44, w / 2, h / 3, w - 2, h - 5, 20, 30, 50, 70, 0, 0, 0, 0}),
      Tensor::of<int32_t>({1, 4}, {1, 2, 3, 0}), Tensor::of<int32_t>({1}, {3}),
      Tensor::of<int32_t>({1}, {17})};
  for (Tensor* tensor : {&truth.boxes, &truth.labels, &truth.count, &truth.image_id})
    *tensor = tensor->to(ctx.device);
  return {make_image_batch(ctx, config, {&raw, 1}), truth};
}

ModelConfig small_config(int64_t height, int64_t width) {
  ModelConfig config = model_config("nano-fpn");
  config.short_side = std::min(height, width);
  config.long_side = std::max(height, width);
  return config;
}

Samples on_device(const Samples& samples, Device device) {
  return {{samples.rpn.labels.to(device), samples.rpn.deltas.to(device)},
          {samples.rois.rois.to(device), samples.rois.count.to(device), samples.rois.labels.to(device),
           samples.rois.deltas.to(device)}};
}

/// The largest |a - b| of every parameter's gradient, over the gradient's norm.
double largest_difference(FasterRcnn& a, FasterRcnn& b, std::string& where) {
  std::vector<std::pair<std::string, Tensor>> expected;
  for_each_parameter(a, [&](const std::string& name, Var& v) {
    if (v.has_gradient()) expected.emplace_back(name, v.gradient().to(Device{}));
  });
  double largest = 0;
  size_t next = 0;
  for_each_parameter(b, [&](const std::string& name, Var& v) {
    if (!v.has_gradient()) return;
    REQUIRE(next < expected.size());
    REQUIRE(expected[next].first == name);
    const Tensor found = v.gradient().to(Device{});
    const auto x = expected[next++].second.values<float>(), y = found.values<float>();
    double square = 0, difference = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      difference += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    }
    const double relative = square == 0 && difference == 0 ? 0 : std::sqrt(difference / square);
    if (!(relative <= largest)) {
      largest = relative;
      where = name;
    }
  });
  CHECK(next == expected.size());
  return largest;
}

bool same_weights(FasterRcnn& a, FasterRcnn& b) {
  std::vector<Tensor> expected;
  const auto all = [](FasterRcnn& model, auto f) {
    visit_module(
        model, [&](const std::string&, Var& v, const Shape&) { f(v.value().to(Device{})); },
        [&](const std::string&, Tensor& t) { f(t.to(Device{})); });
  };
  all(a, [&](const Tensor& t) { expected.push_back(t); });
  size_t next = 0;
  bool same = true;
  all(b, [&](const Tensor& t) {
    const Tensor& e = expected.at(next++);
    same &= e.bytes() == t.bytes() && std::memcmp(e.raw(), t.raw(), t.bytes()) == 0;
  });
  return same && next == expected.size();
}

}  // namespace

TEST_CASE("cuda: a training step of nano-fpn has the CPU's losses and gradients") {
  if (no_gpu()) return;
  const ModelConfig config = small_config(96, 128);
  Context cpu, gpu(kGpu);
  FasterRcnn host(config, 3, Init(5)), device(config, 3, Init(5));
  move_to(device, kGpu);
  for (Context* ctx : {&cpu, &gpu}) ctx->training = ctx->grad = true;

  Samples samples;
  const TrainingBatch batch = make_batch(cpu, config, 96, 128), moved = make_batch(gpu, config, 96, 128);
  const Losses expected = host.losses(cpu, batch.images, batch.truth, {}, &samples);
  backward(cpu, expected.total);
  const Losses found = device.losses(gpu, moved.images, moved.truth, on_device(samples, kGpu));
  backward(gpu, found.total);

  const auto value = [](const Var& v) { return static_cast<double>(v.value().to(Device{}).item<float>()); };
  CHECK(value(found.objectness) == doctest::Approx(value(expected.objectness)).epsilon(1e-4));
  CHECK(value(found.rpn_box) == doctest::Approx(value(expected.rpn_box)).epsilon(1e-4));
  CHECK(value(found.classifier) == doctest::Approx(value(expected.classifier)).epsilon(1e-4));
  CHECK(value(found.box) == doctest::Approx(value(expected.box)).epsilon(1e-4));
  std::string where;
  const double largest = largest_difference(host, device, where);
  INFO(where);
  CHECK(largest <= 1e-3);
  MESSAGE("largest difference of a gradient, relative to its norm: ", largest, " (", where, ")");
}

TEST_CASE("cuda: proposals and samples are those of the CPU") {
  if (no_gpu()) return;
  // Both start from the same feature maps: discrete ops agree exactly, so only rounding of the maps could
  // differ.
  const ModelConfig config = fixtures::tiny_model();
  Context cpu, gpu(kGpu);
  FasterRcnn host(config, 3, Init(5)), device(config, 3, Init(5));
  move_to(device, kGpu);
  for (Context* ctx : {&cpu, &gpu}) ctx->training = ctx->grad = true;
  Samples expected, found;
  const TrainingBatch batch = make_batch(cpu, config, 64, 96), moved = make_batch(gpu, config, 64, 96);
  host.losses(cpu, batch.images, batch.truth, {}, &expected);
  device.losses(gpu, moved.images, moved.truth, {}, &found);
  const auto same = [](const Tensor& a, const Tensor& b) {
    const Tensor copy = b.to(Device{});
    return a.bytes() == copy.bytes() && std::memcmp(a.raw(), copy.raw(), a.bytes()) == 0;
  };
  CHECK(same(expected.rpn.labels, found.rpn.labels));
  CHECK(same(expected.rpn.deltas, found.rpn.deltas));
  CHECK(same(expected.rois.count, found.rois.count));
}

TEST_CASE("cuda: neither a training step nor a detection waits for the device") {
  if (no_gpu()) return;
  const ModelConfig config = fixtures::tiny_model();
  Context ctx(kGpu);
  FasterRcnn model(config, 3, Init(5));
  move_to(model, kGpu);
  Sgd sgd(ctx, model, {0.9f, 1e-4f, 5});
  TrainingStep step(ctx, model, sgd, false);
  cuda::synchronize(kGpu);  // the copies of the model are complete
  cuda::reset_host_waits();
  Losses losses;
  for (int i = 0; i < 2; ++i) losses = step.run(i, 0.01f, make_batch(ctx, config, 64, 96));
  ctx.training = ctx.grad = false;
  const Detections found = model.detect(ctx, make_batch(ctx, config, 64, 96).images);
  for (const auto& [place, count] : cuda::host_waits())
    FAIL_CHECK(place, " waited ", count.waits, " times, ", count.copies, " of them for values");
  // The counter works: reading a result is a wait.
  CHECK(std::isfinite(losses.total.value().to(Device{}).item<float>()));
  CHECK(cuda::total_host_waits().waits == 1);
  CHECK(cuda::total_host_waits().copies == 1);
  CHECK(found.count.to(Device{}).item<int32_t>() >= 0);
}

#if defined(RCNN_CUDA_SIM)
TEST_CASE("cuda: the final NMS of a detection is a few launches, however many candidates there are") {
  struct Nms : OpObserver {
    std::vector<uint64_t> launches;  // of each call, in their order
    uint64_t before = 0;
    void op_begins(const OpCall&) override {
      cuda::synchronize(kGpu);
      before = cuda_sim::launches();
    }
    void op_ends(const OpCall& call) override {
      cuda::synchronize(kGpu);
      if (std::string_view(call.op) == "nms") launches.push_back(cuda_sim::launches() - before);
    }
  } nms;
  const ModelConfig config = fixtures::tiny_model();
  Context ctx(kGpu);
  FasterRcnn model(config, 3, Init(5));
  move_to(model, kGpu);
  ctx.training = ctx.grad = false;
  const ImageBatch images = make_batch(ctx, config, 64, 96).images;
  ctx.observer = &nms;
  static_cast<void>(model.detect(ctx, images));
  ctx.observer = nullptr;
  REQUIRE(nms.launches.size() == 2);  // of proposals, and of detections
  constexpr uint64_t kMaxLaunches = 8;
  CHECK(nms.launches[1] > 0);
  CHECK(nms.launches[1] <= kMaxLaunches);
}
#endif

TEST_CASE("cuda: 20 replays of a captured step equal 20 steps, bit for bit") {
  if (no_gpu()) return;
  ModelConfig config = fixtures::tiny_model();
  config.rpn_min_size_scaled = true;  // so that the scale of an image affects its proposals
  config.rpn_min_size = 4;
  const auto train = [&](bool records, std::vector<float>& losses) {
    Context ctx(kGpu);
    auto model = std::make_unique<FasterRcnn>(config, 3, Init(5));
    move_to(*model, kGpu);
    Sgd sgd(ctx, *model, {0.9f, 1e-4f, 5});
    TrainingStep step(ctx, *model, sgd, records);
    TrainingBatch batch = make_batch(ctx, config, 64, 64);
    std::vector<Losses> all;
    for (int i = 0; i < 22; ++i) {
      batch.images.scale = Tensor::of<float>({1}, {i % 2 == 0 ? 1.0f : 10.0f}).to(kGpu);
      all.push_back(step.run(i, 0.01f / static_cast<float>(1 + i), batch));
    }
    for (const Losses& l : all) losses.push_back(l.total.value().to(Device{}).item<float>());
    return model;
  };
  std::vector<float> eager_losses, recorded_losses;
  const auto eager = train(false, eager_losses), recorded = train(true, recorded_losses);
  CHECK(eager_losses == recorded_losses);
  CHECK(eager_losses.front() != eager_losses.back());
  CHECK(same_weights(*eager, *recorded));
}

TEST_CASE("cuda: detections between captured steps use the weights and statistics of the last step") {
  if (no_gpu()) return;
  const ModelConfig config = fixtures::tiny_model();
  const auto run = [&](bool records) {
    Context ctx(kGpu);
    FasterRcnn model(config, 3, Init(5));
    move_to(model, kGpu);
    Sgd sgd(ctx, model, {0.9f, 1e-4f, 5});
    TrainingStep step(ctx, model, sgd, records);
    const TrainingBatch batch = make_batch(ctx, config, 64, 64);
    std::vector<float> seen;
    for (int i = 0; i < 8; ++i) {
      step.run(i, 0.02f, batch);
      ctx.training = ctx.grad = false;
      const Tensor scores = model.detect(ctx, batch.images).scores.to(Device{});
      seen.insert(seen.end(), scores.values<float>().begin(), scores.values<float>().end());
    }
    return seen;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("cuda: a captured detection equals the eager one, for other images too") {
  if (no_gpu()) return;
  const ModelConfig config = fixtures::tiny_model();
  Context ctx(kGpu);
  FasterRcnn model(config, 3, Init(5));
  move_to(model, kGpu);
  const ImageBatch first = make_batch(ctx, config, 64, 64).images;
  const ImageBatch input{first.pixels.clone(), first.size.clone()};
  RecordedWork work(ctx, true);
  Detections found;
  for (int i = 0; i < 5; ++i) {
    const Tensor image = first.pixels.clone();
    if (i % 2 == 1) image.fill(0.25);
    const Detections expected = model.detect(ctx, {image, first.size});
    input.pixels.copy_from(image);
    work.run([&](Context& own) {
      found = {};
      found = model.detect(own, input);
    });
    const Tensor a = expected.boxes.to(Device{}), b = found.boxes.to(Device{});
    CHECK(std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
    CHECK(expected.count.to(Device{}).item<int32_t>() == found.count.to(Device{}).item<int32_t>());
  }
  CHECK(work.recorded());
}

TEST_CASE("cuda: --device says which device is chosen and why, and refuses a missing one") {
  CHECK(cuda::choose_device("cpu").device == Device{});
  CHECK(cuda::choose_device("auto").line.find(": ") != std::string::npos);
  CHECK_THROWS_WITH_AS(cuda::choose_device("gpu"), "--device gpu: expected auto, cpu, cuda or cuda:N",
                       InputError);
  CHECK_THROWS_WITH_AS(cuda::choose_device("cuda:"), "--device cuda:: expected auto, cpu, cuda or cuda:N",
                       InputError);
  if (!cuda::is_built()) {
    CHECK(cuda::choose_device("auto").line == "cpu: this build has no CUDA (make CUDA=1 builds it)");
    CHECK_THROWS_WITH_AS(cuda::choose_device("cuda:0"),
                         "cuda:0: this build has no CUDA; make CUDA=1 builds it", InputError);
    return;
  }
  if (cuda::device_count() == 0)
    CHECK_THROWS_WITH_AS(cuda::choose_device("cuda"),
                         ("--device cuda: CUDA finds no device: " + cuda::why_no_device()).c_str(),
                         InputError);
  if (no_gpu()) return;
  CHECK(cuda::choose_device("cuda").device == kGpu);
  CHECK_THROWS_WITH_AS(
      cuda::choose_device("cuda:99"),
      fmt::format("cuda:99: there is no such device; found {}", cuda::device_count()).c_str(), InputError);
}

}  // namespace rcnn
