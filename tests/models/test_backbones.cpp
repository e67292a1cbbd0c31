// The backbones: torchvision's names, the levels, the heads, and the kinds of normalisation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/files/sha256.h"
#include "models/pretrained.h"
#include "models/weights.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// The number of elements in the tensors that are trained, and in all tensors.
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

/// The SHA-256 of the sorted lines "name (2, 3)", one per tensor.
std::string digest_of_names(FasterRcnn& model) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : save_weights(model))
    lines.push_back(fmt::format("{} {}\n", name, tensor.shape().str()));
  std::sort(lines.begin(), lines.end());
  return sha256_hex(fmt::format("{}", fmt::join(lines, "")));
}

/// The values of all maps of the backbone as one list.
std::vector<float> map_values(FasterRcnn& model, const ImageBatch& images, bool training) {
  Context ctx;
  ctx.training = training;
  std::vector<float> all;
  for (const Var& map : (*model.backbone)(ctx, Var(images.pixels)))
    all.insert(all.end(), map.value().values<float>().begin(), map.value().values<float>().end());
  return all;
}

/// The largest difference divided by the largest magnitude.
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

TEST_CASE("models have the same tensors as torchvision's: names, shapes and number of elements") {
  // The expected values come from models built from torchvision's parts with frozen batch normalisation
  // (vgg16 with a head of width 64), and for 90 classes from fasterrcnn_resnet50_fpn: the sum of numel() over
  // the parameters, over the state_dict without num_batches_tracked, and over the parameters after the first
  // two stages; and the digest of the sorted lines "name (2, 3)".
  struct Expected {
    const char* model;
    int64_t object_classes;
    Sizes sizes;
    int64_t trained_behind_layer1;
    const char* digest;
  };
  for (const Expected& e : {Expected{"resnet18-fpn",
                                     3,
                                     {28284131, 28303331},
                                     28127267,
                                     "bb602e011cec7981a5654aca4bd91a880fd13d06c2b9ebaf0d9249822966844a"},
                            Expected{"resnet18-c4",
                                     3,
                                     {17303839, 17312799},
                                     17146975,
                                     "a0f519eee4921ea6361f42f5bec187fec928e94f6caca0b3d0e5b1a2b8a1cd0f"},
                            Expected{"resnet34-fpn",
                                     3,
                                     {38384867, 38418915},
                                     38154275,
                                     "6fa59ec1ce2c9d8586ba256e3de0f65b79f009b6202ad5d81f86310ff3dde913"},
                            Expected{"resnet50-fpn",
                                     90,
                                     {41755286, 41861526},
                                     41532886,
                                     "5bf5ac6f77f83eac6079ca5b70d05818cfc7f1d89a7831e9357af46b15f88f5d"},
                            Expected{"resnet50-c4",
                                     3,
                                     {33010975, 33117215},
                                     32788575,
                                     "e84bb1125bbb82adff09ea4f5e972f656ab2383d26ef25c1cd81b67cc8a50e47"},
                            Expected{"vgg16",
                                     3,
                                     {18708737, 18708737},
                                     18448577,
                                     "341f69269b415e35e57104ef48f72525e6a7f53170b0ba9334ed7ceb6a9d27cd"}}) {
    CAPTURE(e.model);
    ModelConfig config = model_config(e.model);
    if (e.model == std::string("vgg16")) config.box_head_size = 64;
    FasterRcnn model(config, e.object_classes, Init(1));
    CHECK(sizes_of(model) == e.sizes);
    CHECK(digest_of_names(model) == e.digest);
    freeze_stages(model, 2);
    CHECK(sizes_of(model) == Sizes{e.trained_behind_layer1, e.sizes.all});
  }
}

/// One model of each kind. The deeper models are built from the same parts.
constexpr const char* kKinds[] = {"nano-fpn",     "resnet18-fpn", "resnet18-c4", "resnet18-dc5",
                                  "resnet50-fpn", "resnet50-c4",  "vgg16"};

TEST_CASE("models place anchors at the strides that they declare") {
  for (const std::string name : kKinds) {
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

TEST_CASE("a model is refused unless it has anchor sizes for each of its levels") {
  ModelConfig config = model_config("resnet18-c4");
  config.anchor_sizes = {{32}, {64}};
  CHECK(input_error([&] { FasterRcnn(config, 1, Init(1)); }) ==
        "anchor-sizes: resnet18-c4 has 1 levels (one list each, ';' between them), found sizes for 2");
}

TEST_CASE("every trained parameter of a model gets a gradient") {
  for (const std::string name : kKinds) {
    CAPTURE(name);
    FasterRcnn model(small_config(name), 2, Init(1));
    Context ctx;
    ctx.training = ctx.grad = true;
    backward(ctx, model.losses(ctx, noise(2, 64, 96, DType::f32), two_images()).total);
    for_each_parameter(model, [&](const std::string& parameter, Var& value) {
      CHECK_MESSAGE(value.has_gradient() == value.requires_grad(), parameter);
    });
  }
}

TEST_CASE("box-head: layer4 can be the head of models whose backbone does not use it") {
  ModelConfig config = small_config("resnet18-c4");
  config.box_head = "layer4";
  FasterRcnn model(config, 2, Init(1));
  Context ctx;
  const RoiOutput output =
      roi_head_forward(ctx, model.head, config, {Var(Tensor::zeros({1, 4, 6, 256}, DType::f32))},
                       Tensor::of<float>({1, 2, 4}, {0, 0, 40, 40, 8, 8, 60, 50}), {}, {1, 64, 96, 3});
  CHECK(output.logits.shape() == Shape{2, 3});
  CHECK(output.deltas.shape() == Shape{2, 12});
  for (const char* without : {"resnet50-fpn", "vgg16"}) {
    config = small_config(without);
    config.box_head = "layer4";
    CHECK(
        input_error([&] { FasterRcnn(config, 1, Init(1)); })
            .starts_with(fmt::format("--box-head layer4: {} has no stage left for the head; expected one of "
                                     "resnet18-c4, ",
                                     without)));
  }
}

TEST_CASE("vgg16 assigns its convolutions to stages") {
  const FasterRcnn model(small_config("vgg16"), 1, Init(1));
  CHECK(model.backbone->stage_of("0.weight") == 1);
  CHECK(model.backbone->stage_of("2.bias") == 1);
  CHECK(model.backbone->stage_of("5.weight") == 2);
  CHECK(model.backbone->stage_of("7.weight") == 2);
  CHECK(model.backbone->stage_of("10.weight") == 3);
  CHECK(model.backbone->stage_of("28.bias") == 5);
  ModelConfig config = small_config("vgg16");
  config.norm = "batch";
  CHECK(input_error([&] { FasterRcnn(config, 1, Init(1)); }) ==
        "--norm batch: vgg16 has no normalisation: expected --norm folded");
}

TEST_CASE("norm: batch, frozen and folded agree in evaluation, the last two also in training") {
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
    CHECK(distance(expected, map_values(batch, images, true)) > 1e-2);  // it uses the statistics of the batch

    // Loading folded convolutions sets the frozen normalisation so that it changes no bit.
    FasterRcnn again = small_model(name, "frozen", 4);
    const auto folded_list = save_weights(folded);
    start_from_weights(again, classes, {"file", {folded_list.begin(), folded_list.end()}, classes}, false);
    CHECK(map_values(again, images, false) == map_values(folded, images, false));
  }
}

TEST_CASE("norm: frozen normalisation gets no gradient, but the bias of a folded convolution does") {
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

TEST_CASE("norm: folding for evaluation follows changed weights and statistics, in the same tensors") {
  const ImageBatch images = noise(1, 32, 32, DType::f32);
  FasterRcnn model = small_model("nano-fpn", "frozen", 1), fresh = small_model("nano-fpn", "frozen", 1);
  const std::vector<float> before = map_values(model, images, false);
  randomise_norms(model);
  randomise_norms(fresh);
  const std::vector<float> after = map_values(model, images, false);
  CHECK(after != before);
  CHECK(after == map_values(fresh, images, false));
}
