#include <doctest/doctest.h>

#include <cmath>

#include "core/rng.h"
#include "models/faster_rcnn.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Compares the derivative of the whole loss along a random direction in every `every`th parameter with
/// central differences. Proposals and samples are held fixed: what is discrete has no gradient.
void check_gradients(const ModelConfig& config, uint64_t every) {
  FasterRcnn model(config, 2, Init(3, DType::f64));
  // At their initial .01 the RPN's weights hardly reach the layers below.
  for_each_parameter(model, [](const std::string& name, Var& v) {
    if (name.starts_with("rpn.") && name.ends_with("weight"))
      for (double& w : v.value().mutable_values<double>()) w *= 10;
  });
  const ImageBatch images = noise(2, 32, 48, DType::f64);
  Samples samples;
  {
    Context ctx;
    ctx.training = true;
    model.losses(ctx, images, two_images(), {}, &samples);
  }
  const auto loss = [&] {
    Context ctx;
    ctx.training = true;
    return model.losses(ctx, images, two_images(), samples).total.value().item<double>();
  };
  Context ctx;
  ctx.training = ctx.grad = true;
  const Losses losses = model.losses(ctx, images, two_images(), samples);
  for (const Var* term : {&losses.objectness, &losses.rpn_box, &losses.classifier, &losses.box})
    CHECK(term->value().item<double>() > 0);
  backward(ctx, losses.total);

  uint64_t seed = 100;
  for_each_parameter(model, [&](const std::string& name, Var& parameter) {
    if (!parameter.requires_grad() || ++seed % every != 0) return;
    REQUIRE_MESSAGE(parameter.has_gradient(), name);
    // The derivative along a random direction uses every element of the tensor.
    RandomSequence random(seed, Purpose::test);
    const Tensor original = parameter.value().clone();
    std::vector<double> direction(static_cast<size_t>(original.numel()));
    double analytic = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<double>(random.normal()) / std::sqrt(static_cast<double>(direction.size()));
      analytic += direction[i] * parameter.gradient().values<double>()[i];
    }
    const auto moved = [&](double step) {
      double* values = parameter.value().mutable_data<double>();
      for (size_t i = 0; i < direction.size(); ++i)
        values[i] = original.values<double>()[i] + step * direction[i];
      return loss();
    };
    constexpr double kStep = 1e-6;
    const double numeric = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    parameter.value().copy_from(original);
    CHECK_MESSAGE(std::fabs(numeric - analytic) <= 1e-6 + 1e-5 * std::fabs(analytic),
                  fmt::format("{}: central difference {}, backward {}", name, numeric, analytic));
  });
}

}  // namespace

TEST_CASE("the gradient of the whole loss agrees with central differences, tensor by tensor") {
  for (const char* norm : {"batch", "frozen", "folded"}) {
    CAPTURE(norm);
    ModelConfig config = small_config();
    config.norm = norm;
    check_gradients(config, norm == std::string("batch") ? 1 : 4);
  }
}

TEST_CASE("the gradient of a ResNet's loss agrees with central differences") {
  check_gradients(small_config("resnet18-c4"), 9);
  check_gradients(small_config("resnet18-fpn"), 19);
}

TEST_CASE("losses do not depend on what stands in the padding of ground truth") {
  FasterRcnn model(small_config(), 2, Init(3));
  const ImageBatch images = noise(2, 32, 48, DType::f32);
  const auto losses = [&](const GroundTruth& t) {
    Context ctx;
    ctx.training = true;
    return model.losses(ctx, images, t).total.value().item<float>();
  };
  const GroundTruth clean = two_images(), dirty = two_images();
  for (int i = 12; i < 16; ++i) dirty.boxes.mutable_data<float>()[i] = std::nanf("");
  dirty.labels.mutable_data<int32_t>()[3] = 99;
  CHECK(losses(clean) == losses(dirty));
  CHECK(std::isfinite(losses(clean)));
}

TEST_CASE("an image without objects trains the background alone") {
  FasterRcnn model(small_config(), 2, Init(3));
  const GroundTruth none{Tensor::zeros({2, 1, 4}, DType::f32), Tensor::zeros({2, 1}, DType::i32),
                         Tensor::zeros({2}, DType::i32), Tensor::of<int32_t>({2}, {0, 1})};
  Context ctx;
  ctx.training = ctx.grad = true;
  const Losses losses = model.losses(ctx, noise(2, 32, 48, DType::f32), none);
  backward(ctx, losses.total);
  CHECK(losses.rpn_box.value().item<float>() == 0);
  CHECK(losses.box.value().item<float>() == 0);
  CHECK(losses.objectness.value().item<float>() > 0);
  CHECK(losses.classifier.value().item<float>() > 0);
  for_each_parameter(model, [](const std::string& name, Var& v) {
    if (!v.has_gradient()) return;
    for (const float g : v.gradient().values<float>()) REQUIRE_MESSAGE(std::isfinite(g), name);
  });
}

TEST_CASE("detections are inside the image, best first, and the same whatever the batch") {
  FasterRcnn model(small_config(), 2, Init(3));
  Context ctx;
  const ImageBatch two = noise(2, 64, 80, DType::f32);
  const ImageBatch first{two.pixels.slice(0, 1), two.size.slice(0, 1)};
  const Detections both = model.detect(ctx, two), alone = model.detect(ctx, first);
  const int32_t count = alone.count.values<int32_t>()[0];
  CHECK(both.count.values<int32_t>()[0] == count);
  REQUIRE(count > 0);
  for (int32_t i = 0; i < count; ++i) {
    const float* box = alone.boxes.data<float>() + 4 * i;
    CHECK((box[0] >= 0 && box[1] >= 0 && box[2] <= 80 && box[3] <= 64));
    CHECK((box[0] < box[2] && box[1] < box[3]));
    const int32_t label = alone.labels.data<int32_t>()[i];
    CHECK((label == 1 || label == 2));
    if (i > 0) CHECK(alone.scores.data<float>()[i] <= alone.scores.data<float>()[i - 1]);
    for (int c = 0; c < 4; ++c) CHECK(std::fabs(both.boxes.data<float>()[4 * i + c] - box[c]) <= 1e-3f);
  }
}

TEST_CASE("nano-fpn has the parameters its design says, under torchvision's names") {
  FasterRcnn model(model_config("nano-fpn"), 3, Init(1));
  int64_t count = 0;
  std::vector<std::string> names;
  for_each_parameter(model, [&](const std::string& name, Var& v) {
    count += v.value().numel();
    names.push_back(name);
  });
  CHECK(count ==
        780514);  // the same model put together from torchvision's parts: bench/torchvision_models.py
  for (const char* name : {"backbone.body.layer2.0.downsample.0.weight", "backbone.fpn.inner_blocks.2.0.bias",
                           "rpn.head.conv.0.0.weight", "roi_heads.box_predictor.bbox_pred.bias"})
    CHECK_MESSAGE(std::find(names.begin(), names.end(), name) != names.end(), name);
}
