// Settings of a model that no other test covers: each has the described effect, and no other.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "models/pretrained.h"
#include "models/weights.h"
#include "tests/models/models.h"

namespace rcnn {

using namespace fixtures;

namespace {

std::vector<float> copy_of(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("settings: rpn-score-thresh keeps the proposals with at least that score") {
  const auto logits_at = [](float threshold) {
    ModelConfig config = small_config();
    config.rpn_score_thresh = threshold;
    config.rpn_nms_thresh = 1;  // so that NMS removes none
    FasterRcnn model(config, 2, Init(4));
    Context ctx;
    const Proposals found = model.propose(ctx, noise(1, 64, 96, DType::f32));
    std::vector<float> logits = copy_of(found.scores);
    logits.resize(static_cast<size_t>(found.count.item<int32_t>()));
    return logits;
  };
  const std::vector<float> all = logits_at(0);
  REQUIRE(all.size() >= 20);
  const double between = (static_cast<double>(all[9]) + static_cast<double>(all[10])) / 2;
  REQUIRE(all[9] > all[10]);
  const std::vector<float> likely = logits_at(static_cast<float>(1 / (1 + std::exp(-between))));
  CHECK(likely == std::vector<float>(all.begin(), all.begin() + 10));
}

TEST_CASE("settings: with box-class-agnostic, all classes of a RoI share one box, which is trained") {
  for (const bool agnostic : {false, true}) {
    CAPTURE(agnostic);
    ModelConfig config = small_config();
    config.box_class_agnostic = agnostic;
    config.box_score_thresh = 0;
    config.box_init = "uniform";
    FasterRcnn model(config, 2, Init(4));
    CHECK(model.head.deltas.weight.dim(0) == (agnostic ? 4 : 12));
    Context ctx;
    DetectionTrace trace;
    model.detect(ctx, noise(1, 64, 96, DType::f32), &trace);
    const Tensor& boxes = trace.before_nms.boxes;  // (1, R 2, 4)
    const int64_t rois = trace.proposals.count.item<int32_t>();
    REQUIRE(rois > 0);
    int64_t equal = 0;
    for (int64_t r = 0; r < rois; ++r) {
      const float* first = boxes.data<float>() + r * 2 * 4;
      equal += std::equal(first, first + 4, first + 4);
    }
    CHECK((equal == rois) == agnostic);

    ctx.training = ctx.grad = true;
    const Losses losses = model.losses(ctx, noise(2, 64, 96, DType::f32), two_images());
    CHECK(losses.box.value().item<float>() > 0);
    backward(ctx, losses.total);
    const std::vector<float> gradient = copy_of(model.head.deltas.weight.gradient());
    CHECK(std::any_of(gradient.begin(), gradient.end(), [](float value) { return value != 0; }));
  }
}

TEST_CASE("settings: box-init normal draws the output weights with the standard deviations of the paper") {
  ModelConfig config = small_config();
  config.box_head_size = 512;
  config.box_init = "normal";
  FasterRcnn model(config, 20, Init(4));
  const auto deviation = [](const Tensor& tensor) {
    double square = 0;
    for (const float value : tensor.values<float>())
      square += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(square / static_cast<double>(tensor.numel()));
  };
  // About 10,000 and 43,000 draws. The relative error of a standard deviation is 1 / sqrt(2 n): .7 % and .3
  // %.
  CHECK(deviation(model.head.classes.weight.value()) == doctest::Approx(0.01).epsilon(0.03));
  CHECK(deviation(model.head.deltas.weight.value()) == doctest::Approx(0.001).epsilon(0.02));
  CHECK(deviation(model.head.classes.bias.value()) == 0);
}

TEST_CASE("settings: norm group has no running statistics, and a folded file does not fit it") {
  FasterRcnn model = small_model("resnet18-c4", "group", 3);
  size_t norms = 0;
  for (const auto& [name, tensor] : save_weights(model)) {
    CHECK_MESSAGE(!name.ends_with("running_mean"), name);
    norms += name.ends_with("bn1.weight");
  }
  CHECK(norms == 1 + 2 * 3);  // the stem, and two blocks of each of three stages
  Context ctx;
  ctx.training = ctx.grad = true;
  const Losses losses = model.losses(ctx, noise(2, 64, 96, DType::f32), two_images());
  CHECK(std::isfinite(losses.total.value().item<float>()));
  backward(ctx, losses.total);
  for_each_parameter(model,
                     [](const std::string& name, Var& value) { CHECK_MESSAGE(value.has_gradient(), name); });
  // Only the image's own values matter, not those of the other images in the batch.
  ctx.training = ctx.grad = false;
  const ImageBatch two = noise(2, 64, 96, DType::f32);
  const auto both = (*model.backbone)(ctx, Var(two.pixels)),
             one = (*model.backbone)(ctx, Var(two.pixels.slice(0, 1)));
  const std::vector<float> a = copy_of(both.back().value().slice(0, 1)), b = copy_of(one.back().value());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
  }
  CHECK(worst <= 1e-5 * largest);

  FasterRcnn folded = small_model("resnet18-c4", "folded", 4);
  std::map<std::string, Tensor> file;
  for (const auto& [name, tensor] : save_weights(folded)) file[name] = tensor;
  CHECK_THROWS_WITH_AS(start_from_weights(model, {"a", "b"}, {"folded.pth", file, {}}, false),
                       doctest::Contains("--norm group needs a file that still has it"), InputError);
}

TEST_CASE("settings: norm-eps is used when normalisation is folded") {
  ModelConfig config = small_config("resnet18-c4");
  config.frozen_stages = 0;
  config.norm = "frozen";
  config.norm_eps = 0.1f;
  FasterRcnn source(config, 2, Init(3));
  randomise_norms(source);
  std::map<std::string, Tensor> file;
  for (const auto& [name, tensor] : save_weights(source)) file[name] = tensor;
  const auto features_of = [&](const char* norm, float eps) {
    ModelConfig other = config;
    other.norm = norm;
    other.norm_eps = eps;
    FasterRcnn model(other, 2, Init(5));
    start_from_weights(model, {"a", "b"}, {"source.pth", file, {}}, false);
    Context ctx;
    return copy_of((*model.backbone)(ctx, Var(noise(1, 64, 96, DType::f32).pixels)).back().value());
  };
  const std::vector<float> frozen = features_of("frozen", 0.1f), folded = features_of("folded", 0.1f),
                           other = features_of("folded", 1e-5f);
  double largest = 0, same = 0, different = 0;
  for (size_t i = 0; i < frozen.size(); ++i) {
    const auto at = [i](const std::vector<float>& values) { return static_cast<double>(values[i]); };
    largest = std::max(largest, std::fabs(at(frozen)));
    same = std::max(same, std::fabs(at(frozen) - at(folded)));
    different = std::max(different, std::fabs(at(frozen) - at(other)));
  }
  CHECK(same <= 1e-4 * largest);
  CHECK(different >= 1e-2 * largest);
}

}  // namespace rcnn
