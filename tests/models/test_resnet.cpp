// The ResNets: torchvision's names, levels, and the three ways of batch normalisation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/sha256.h"
#include "models/pretrained.h"
#include "models/weights.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Elements of the tensors that are trained, and of all of them.
struct Sizes {
  int64_t trained = 0, all = 0;
  bool operator==(const Sizes&) const = default;
};

Sizes sizes_of(FasterRcnn& model) {
  Sizes sizes;
  visit_module(
      model,
      [&](const std::string&, Var& value, const Shape&) {
        sizes.all += value.value().numel();
        if (value.requires_grad()) sizes.trained += value.value().numel();
      },
      [&](const std::string&, Tensor& value) { sizes.all += value.numel(); });
  return sizes;
}

/// Names and shapes as `sha256sum` sees them, one "name (2, 3)" a line, sorted.
std::string digest_of_names(FasterRcnn& model) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : save_weights(model))
    lines.push_back(fmt::format("{} {}\n", name, tensor.shape().str()));
  std::sort(lines.begin(), lines.end());
  return sha256_hex(fmt::format("{}", fmt::join(lines, "")));
}

/// All maps of the backbone as one list.
std::vector<float> map_values(FasterRcnn& model, const ImageBatch& images, bool training) {
  Context ctx;
  ctx.training = training;
  std::vector<float> all;
  for (const Var& map : (*model.backbone)(ctx, Var(images.pixels)))
    all.insert(all.end(), map.value().values<float>().begin(), map.value().values<float>().end());
  return all;
}

/// The largest difference, in units of the largest value.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, static_cast<double>(std::fabs(a[i] - b[i])));
    largest = std::max(largest, static_cast<double>(std::fabs(a[i])));
  }
  REQUIRE(largest > 0);
  return difference / largest;
}

}  // namespace

TEST_CASE("resnet: tensors have the names, shapes and number of torchvision's") {
  // From bench/torchvision_models.py: for the state_dict of MODELS[...](3) the sum of numel() over the
  // parameters that want a gradient before and after trainable_layers=3, over all entries, and the digest of
  // sorted lines "name (2, 3)".
  struct Expected {
    const char* model;
    Sizes sizes;
    int64_t trained_behind_layer1;
    const char* digest;
  };
  for (const Expected& e : {Expected{"resnet18-fpn",
                                     {28284131, 28303331},
                                     28127267,
                                     "bb602e011cec7981a5654aca4bd91a880fd13d06c2b9ebaf0d9249822966844a"},
                            Expected{"resnet18-c4",
                                     {17303839, 17312799},
                                     17146975,
                                     "a0f519eee4921ea6361f42f5bec187fec928e94f6caca0b3d0e5b1a2b8a1cd0f"}}) {
    CAPTURE(e.model);
    FasterRcnn model(model_config(e.model), 3, Init(1));
    CHECK(sizes_of(model) == e.sizes);
    CHECK(digest_of_names(model) == e.digest);
    freeze_stages(model, 2);
    CHECK(sizes_of(model) == Sizes{e.trained_behind_layer1, e.sizes.all});
  }
}

TEST_CASE("every model has anchors at the strides it says") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    ModelConfig config = model_config(name);
    config.box_pool_size = 1;  // a small head
    config.box_head_size = 8;
    config.box_batch_size_per_image = config.rpn_post_nms_top_n_train = 4;
    FasterRcnn model(config, 2, Init(1));
    Context ctx;
    ctx.training = true;
    Samples samples;
    model.losses(ctx, noise(2, 64, 128, DType::f32), two_images(), {}, &samples);
    int64_t expected = 0;
    for (const int64_t stride : level_strides(config))
      expected += 64 / stride * 128 / stride * std::ssize(config.anchor_sizes[0]) * 3;
    CHECK(samples.rpn.labels.dim(1) == expected);
  }
}

TEST_CASE("a model whose anchor sizes are not those of its levels is refused") {
  ModelConfig config = model_config("resnet18-c4");
  config.anchor_sizes = {{32}, {64}};
  CHECK(input_error([&] { FasterRcnn(config, 1, Init(1)); }) ==
        "anchor-sizes: resnet18-c4 has 1 levels (one list each, ';' between them), found sizes for 2");
}

TEST_CASE("norm: evaluation by batch, frozen and folded normalisation agrees, and training by the frozen") {
  const ImageBatch images = noise(2, 64, 64, DType::f32);
  for (const char* name : {"nano-fpn", "resnet18-c4"}) {
    CAPTURE(name);
    FasterRcnn batch = small_model(name, "batch", 1), frozen = small_model(name, "frozen", 2),
               folded = small_model(name, "folded", 3);
    randomise_norms(batch);
    const std::vector<std::string> classes = {"a", "b"};
    const auto list = save_weights(batch);
    const WeightsFile file{"file", {list.begin(), list.end()}, classes};
    for (FasterRcnn* model : {&frozen, &folded})
      CHECK(start_from_weights(*model, classes, file, false).missing.empty());

    const std::vector<float> expected = map_values(batch, images, false);
    CHECK(distance(expected, map_values(frozen, images, false)) == 0);
    CHECK(distance(expected, map_values(frozen, images, true)) == 0);
    CHECK(distance(expected, map_values(folded, images, false)) <= 1e-5);
    CHECK(distance(expected, map_values(folded, images, true)) <= 1e-5);
    CHECK(distance(expected, map_values(batch, images, true)) > 1e-2);  // its statistics are its own

    // A file of folded convolutions gives a frozen normalisation that changes nothing, to the last bit.
    FasterRcnn again = small_model(name, "frozen", 4);
    const auto folded_list = save_weights(folded);
    start_from_weights(again, classes, {"file", {folded_list.begin(), folded_list.end()}, classes}, false);
    CHECK(map_values(again, images, false) == map_values(folded, images, false));
  }
}

TEST_CASE("norm: what is frozen has no gradient, what is folded has a bias that does") {
  for (const char* norm : {"frozen", "folded"}) {
    CAPTURE(norm);
    FasterRcnn model = small_model("nano-fpn", norm, 1);
    Context ctx;
    ctx.training = ctx.grad = true;
    backward(ctx, model.losses(ctx, noise(2, 32, 48, DType::f32), two_images()).total);
    for_each_parameter(model, [&](const std::string& name, Var& value) {
      const bool is_norm = name.find(".bn") != std::string::npos ||
                           name.find("sample.1") != std::string::npos ||
                           name.find("layer3.1.1") != std::string::npos;
      CHECK_MESSAGE(value.requires_grad() == !is_norm, name);
      CHECK_MESSAGE(value.has_gradient() == !is_norm, name);
      CHECK_MESSAGE(!(is_norm && norm == std::string("folded")), name);
    });
  }
}

TEST_CASE("norm: what is folded for evaluation follows weights and statistics, in the tensors it has") {
  const ImageBatch images = noise(1, 32, 32, DType::f32);
  FasterRcnn model = small_model("nano-fpn", "frozen", 1), fresh = small_model("nano-fpn", "frozen", 1);
  const std::vector<float> before = map_values(model, images, false);
  randomise_norms(model);
  randomise_norms(fresh);
  const std::vector<float> after = map_values(model, images, false);
  CHECK(after != before);
  CHECK(after == map_values(fresh, images, false));
}
