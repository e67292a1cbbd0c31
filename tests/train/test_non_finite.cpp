// Planted values that are not finite are found and named.
#include "train/non_finite.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/train/tiny_run.h"
#include "train/step.h"

using namespace rcnn;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// Two images of noise with an object each.
TrainingBatch noise() {
  RandomSequence random(5, Purpose::test);
  const Tensor pixels = Tensor::empty({2, 64, 64, 3}, DType::f32);
  for (float& value : pixels.mutable_values<float>()) value = random.normal();
  return {{pixels, Tensor::of<float>({2, 2}, {64, 64, 64, 64})},
          {Tensor::of<float>({2, 1, 4}, {4, 5, 30, 40, 10, 8, 44, 40}), Tensor::of<int32_t>({2, 1}, {1, 2}),
           Tensor::of<int32_t>({2}, {1, 1}), Tensor::of<int32_t>({2}, {0, 1})}};
}

struct Failing {
  Context ctx;
  FasterRcnn model{fixtures::tiny_model(), 2, Init(3)};
  TrainingBatch batch = noise();

  std::string explain() { return explain_non_finite(ctx, model, 7, batch, {"a.jpg", "b.jpg"}); }
  Tensor parameter(const std::string& wanted) {
    Tensor found;
    for_each_parameter(model, [&](const std::string& name, Var& v) {
      if (name == wanted) found = v.value();
    });
    REQUIRE(found.defined());
    return found;
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("non-finite: a finite pass gives no text and leaves nothing behind") {
  Failing f;
  std::vector<Tensor> before, after;
  const auto collect = [&](std::vector<Tensor>& list) {
    visit_module(
        f.model, [&](const std::string&, Var& v, const Shape&) { list.push_back(v.value().clone()); },
        [&](const std::string&, Tensor& t) { list.push_back(t.clone()); });
  };
  collect(before);
  CHECK(f.explain().empty());
  collect(after);
  bool same = before.size() == after.size();
  for (size_t i = 0; same && i < after.size(); ++i)
    same = std::memcmp(before[i].raw(), after[i].raw(), after[i].bytes()) == 0;
  CHECK(same);
  for_each_parameter(f.model, [](const std::string& name, Var& v) {
    CAPTURE(name);
    CHECK_FALSE(v.has_gradient());
  });
  CHECK_FALSE(f.ctx.grad);
}

TEST_CASE("non-finite: a parameter and the place in it") {
  Failing f;
  f.parameter("backbone.body.layer1.0.conv1.weight").mutable_values<float>()[5] = NAN;
  const std::string text = f.explain();
  CAPTURE(text);
  CHECK(has(text,
            "the first value that is not finite is in the parameter backbone.body.layer1.0.conv1.weight: nan "
            "at (0, 0, 0, 5) of (32, 3, "
            "3, 32)"));
  CHECK(has(text, "all images of the batch: a.jpg, b.jpg"));
}

TEST_CASE("non-finite: a pixel and its image") {
  Failing f;
  f.batch.images.pixels.mutable_values<float>()[64 * 64 * 3 + 4] = kInf;
  const std::string text = f.explain();
  CAPTURE(text);
  CHECK(has(text,
            "the first value that is not finite is in the pixels: inf at (1, 0, 1, 1) of (2, 64, 64, 3); on "
            "the image b.jpg"));
}

TEST_CASE("non-finite: a box") {
  Failing f;
  f.batch.truth.boxes.mutable_values<float>()[2] = NAN;
  const std::string text = f.explain();
  CAPTURE(text);
  CHECK(has(text, "the boxes of the objects: nan at (0, 0, 2) of (2, 1, 4); on the image a.jpg"));
}

TEST_CASE("non-finite: an output that overflows is named by its layer") {
  Failing f;
  f.parameter("roi_heads.box_head.fc7.weight").fill(3e38);
  f.parameter("roi_heads.box_head.fc6.bias").fill(10);
  const std::string text = f.explain();
  CAPTURE(text);
  CHECK(has(text,
            "the first value that is not finite is in the output of linear with "
            "roi_heads.box_head.fc7.weight: inf at (0, 0), with "));
  CHECK(has(text, "the loss terms cls, box are not finite"));
}

TEST_CASE("non-finite: a gradient while every loss is finite") {
  Failing f;
  // The RPN's hidden map is tiny and its box weights are huge. Their product has an ordinary size, but its
  // gradient with respect to the map has not.
  f.parameter("rpn.head.conv.0.0.weight").fill(0);
  f.parameter("rpn.head.conv.0.0.bias").fill(1e-38);
  for (float& w : f.parameter("rpn.head.bbox_pred.weight").mutable_values<float>()) w = 3e38f;
  const std::string text = f.explain();
  CAPTURE(text);
  CHECK(has(text, "the first value that is not finite is in the gradient of rpn.head.conv.0.0."));
  CHECK_FALSE(has(text, "loss term"));
}

TEST_CASE("non-finite: training with a huge learning rate diverges, and the step that failed is explained") {
  Failing f;
  Sgd sgd(f.ctx, f.model, {.momentum = 0.9f, .weight_decay = 0, .clip_norm = 0});
  TrainingStep step(f.ctx, f.model, sgd, false);
  int64_t at = 0;
  while (at < 20 && std::isfinite((step.run(at, 1e6f, f.batch), sgd.norm().item<float>()))) ++at;
  REQUIRE(at < 20);
  const std::string text = explain_non_finite(f.ctx, f.model, at, f.batch, {"a.jpg", "b.jpg"});
  CAPTURE(text);
  CHECK(has(text, "the first value that is not finite is in "));
}
