#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "core/rng.h"
#include "models/faster_rcnn.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Compares the derivative of the whole loss with central differences, along a random direction of one
/// parameter in `every`. Proposals and samples are held fixed, because discrete choices have no gradient.
void check_gradients(const ModelConfig& config, uint64_t every) {
  FasterRcnn model(config, 2, Init(3, DType::f64));
  // With the initial deviation of .01, hardly any gradient passes through the RPN's weights to the layers
  // below.
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

TEST_CASE("the gradient of the whole loss agrees with central differences for each parameter") {
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

TEST_CASE("losses do not depend on the contents of padding rows in the ground truth") {
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

TEST_CASE("an image without objects trains only the background") {
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

TEST_CASE("detections are inside the image, sorted by score, and independent of the batch") {
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

TEST_CASE("predict_anchors makes what proposals are selected from") {
  FasterRcnn model(small_config(), 2, Init(3));
  Context ctx;
  ctx.grad = ctx.training = true;
  const ImageBatch image = noise(1, 64, 80, DType::f32);
  const RpnOutput output = model.predict_anchors(ctx, image);
  CHECK(ctx.grad);
  int64_t anchors = 0;
  float best = -INFINITY;
  for (size_t level = 0; level < output.objectness.size(); ++level) {
    const Var& scores = output.objectness[level];
    CHECK_FALSE(scores.requires_grad());
    CHECK(output.deltas[level].value().numel() == 4 * scores.value().numel());
    anchors += scores.value().numel();
    for (const float score : scores.value().values<float>()) best = std::max(best, score);
  }
  CHECK(output.anchors.dim(0) == anchors);
  CHECK(model.propose(ctx, image).scores.values<float>()[0] == best);
}

TEST_CASE("nano-fpn has the expected number of parameters, under torchvision's names") {
  FasterRcnn model(model_config("nano-fpn"), 3, Init(1));
  int64_t count = 0;
  std::vector<std::string> names;
  for_each_parameter(model, [&](const std::string& name, Var& v) {
    count += v.value().numel();
    names.push_back(name);
  });
  CHECK(count == 780514);  // as in the same model built from torchvision's parts: bench/torchvision_models.py
  for (const char* name : {"backbone.body.layer2.0.downsample.0.weight", "backbone.fpn.inner_blocks.2.0.bias",
                           "rpn.head.conv.0.0.weight", "roi_heads.box_predictor.bbox_pred.bias"})
    CHECK_MESSAGE(std::find(names.begin(), names.end(), name) != names.end(), name);
}

TEST_CASE("the losses of RPN and head are terms of the whole loss, and so are their gradients") {
  FasterRcnn model(small_config(), 2, Init(3, DType::f64));
  const ImageBatch images = noise(2, 32, 48, DType::f64);
  ImageBatch given = images;
  given.proposals = {two_images().boxes, two_images().count};
  Samples samples;
  {
    Context ctx;
    ctx.training = true;
    model.losses(ctx, images, two_images(), {}, &samples);
  }
  using Gradients = std::map<std::string, Tensor>;
  const auto pass = [&](const ImageBatch& batch, bool rpn_alone) {
    Context ctx;
    ctx.training = ctx.grad = true;
    model.rpn_alone = rpn_alone;
    const Losses losses = model.losses(ctx, batch, two_images(), samples);
    backward(ctx, losses.total);
    Gradients gradients;
    for_each_parameter(model, [&](const std::string& name, Var& v) {
      if (v.has_gradient()) gradients[name] = v.gradient().clone();
      v.clear_gradient();
    });
    return std::pair(losses, gradients);
  };
  const auto [whole, all] = pass(images, false);
  const auto [rpn, of_rpn] = pass(images, true);
  const auto [head, of_head] = pass(given, false);

  const auto value = [](const Var& term) { return term.value().item<double>(); };
  CHECK(value(rpn.objectness) == value(whole.objectness));
  CHECK(value(rpn.rpn_box) == value(whole.rpn_box));
  CHECK(value(rpn.total) == value(rpn.objectness) + value(rpn.rpn_box));
  CHECK_FALSE((rpn.classifier.defined() || rpn.box.defined()));
  CHECK(value(head.classifier) == value(whole.classifier));
  CHECK(value(head.box) == value(whole.box));
  CHECK(value(head.total) == value(head.classifier) + value(head.box));
  CHECK_FALSE((head.objectness.defined() || head.rpn_box.defined()));

  for (const auto& [name, gradient] : all) {
    const bool in_rpn = of_rpn.contains(name), in_head = of_head.contains(name);
    CHECK_MESSAGE(in_rpn == !name.starts_with("roi_heads."), name);
    CHECK_MESSAGE(in_head == !name.starts_with("rpn."), name);
    for (size_t i = 0; i < static_cast<size_t>(gradient.numel()); ++i) {
      const double sum = (in_rpn ? of_rpn.at(name).values<double>()[i] : 0) +
                         (in_head ? of_head.at(name).values<double>()[i] : 0);
      const double wanted = gradient.values<double>()[i];
      REQUIRE_MESSAGE(std::fabs(sum - wanted) <= 1e-12 + 1e-9 * std::fabs(wanted), name);
    }
  }
}

TEST_CASE("the head uses the proposals that are given, in training and in detection") {
  FasterRcnn model(small_config(), 2, Init(3));
  ImageBatch images = noise(2, 32, 48, DType::f32);
  // The second image has neither proposals nor objects.
  images.proposals = {Tensor::of<float>({2, 2, 4}, {3, 5, 23, 19, 30, 2, 40, 12, 0, 0, 0, 0, 0, 0, 0, 0}),
                      Tensor::of<int32_t>({2}, {2, 0})};
  GroundTruth truth = two_images();
  truth.count = Tensor::of<int32_t>({2}, {2, 0});
  Context ctx;
  ctx.training = ctx.grad = true;
  Samples taken;
  const Losses losses = model.losses(ctx, images, truth, {}, &taken);
  backward(ctx, losses.total);
  CHECK(std::isfinite(losses.total.value().item<float>()));
  CHECK(taken.rois.count.values<int32_t>()[0] == 2);
  CHECK(taken.rois.count.values<int32_t>()[1] == 0);
  std::vector<float> first;
  for (int i = 0; i < 2; ++i) first.push_back(taken.rois.rois.values<float>()[static_cast<size_t>(4 * i)]);
  std::sort(first.begin(), first.end());
  CHECK(first == std::vector<float>{3, 30});
  CHECK_FALSE(taken.rpn.labels.defined());

  images.proposals.count = Tensor::of<int32_t>({2}, {0, 0});
  for_each_parameter(model, [](const std::string&, Var& v) { v.clear_gradient(); });
  truth.count = images.proposals.count;
  const Losses none = model.losses(ctx, images, truth);
  backward(ctx, none.total);
  CHECK(none.total.value().item<float>() == 0);

  Context detecting;
  DetectionTrace trace;
  const Detections found = model.detect(detecting, images, &trace);
  CHECK(found.count.values<int32_t>()[0] == 0);
  CHECK(trace.proposals.boxes.data<float>() == images.proposals.boxes.data<float>());
}

TEST_CASE(
    "detection and proposals are the same whatever mode the context was left in, and leave it as it was") {
  FasterRcnn model(small_config(), 2, Init(3));
  const ImageBatch images = noise(1, 32, 48, DType::f32);
  Context evaluating, training;
  training.grad = training.training = true;
  const Detections expected = model.detect(evaluating, images), found = model.detect(training, images);
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
  };
  CHECK(same(expected.boxes, found.boxes));
  CHECK(same(expected.scores, found.scores));
  CHECK(same(model.propose(evaluating, images).boxes, model.propose(training, images).boxes));
  CHECK(training.grad);
  CHECK(training.training);
  CHECK(training.next_sequence == 0);  // nothing was recorded
}
