// Reading files with torchvision's other names, and exporting files for torchvision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "models/pretrained.h"
#include "models/weights.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Tensors = std::map<std::string, Tensor>;

Tensors weights_of(FasterRcnn& model) {
  const auto list = save_weights(model);
  return {list.begin(), list.end()};
}

std::vector<float> numbers(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

/// The number of tensors that are equal in two models.
int count_equal(FasterRcnn& a, FasterRcnn& b) {
  const Tensors ours = weights_of(a), theirs = weights_of(b);
  int count = 0;
  for (const auto& [name, tensor] : ours)
    count += theirs.contains(name) && numbers(theirs.at(name)) == numbers(tensor);
  return count;
}

/// Copies the entries of `from` whose names begin with `prefix` to `to`, with `other` in its place.
void move_names(Tensors& from, Tensors& to, const std::string& prefix, const std::string& other) {
  for (const auto& [name, tensor] : from)
    if (name.starts_with(prefix)) to[other + name.substr(prefix.size())] = tensor;
}

const std::vector<std::string> kClasses = {"cat", "dog"};

}  // namespace

TEST_CASE("torchvision's files: the old names in RPN and pyramid are recognised") {
  FasterRcnn source(small_config("resnet18-fpn"), 2, Init(3)),
      model(small_config("resnet18-fpn"), 2, Init(4));
  Tensors old;
  for (const auto& [name, tensor] : weights_of(source)) {
    // Names before torchvision 0.13: rpn.head.conv.weight, backbone.fpn.inner_blocks.0.weight.
    std::string then = name;
    if (name.starts_with("rpn.head.conv.0.0")) then.erase(13, 4);
    if (name.starts_with("backbone.fpn.")) then.erase(name.rfind('.') - 2, 2);
    old[then] = tensor;
  }
  CHECK(old.contains("rpn.head.conv.weight"));
  CHECK(old.contains("backbone.fpn.inner_blocks.0.bias"));
  CHECK(old.contains("backbone.fpn.layer_blocks.3.weight"));
  const WeightsReport report = start_from_weights(model, kClasses, {"old.pth", old, kClasses}, false);
  CHECK(report.missing.empty());
  CHECK(report.unexpected.empty());
  CHECK(report.taken == report.tensors);
  CHECK(count_equal(source, model) == std::ssize(old));
}

TEST_CASE("torchvision's files: the linear layers of a VGG16 classifier become the head") {
  ModelConfig config = small_config("vgg16");
  FasterRcnn source(config, 2, Init(3)), model(config, 2, Init(4));
  Tensors own = weights_of(source), file;
  move_names(own, file, "backbone.body.", "features.");
  move_names(own, file, "roi_heads.box_head.fc6.", "classifier.0.");
  move_names(own, file, "roi_heads.box_head.fc7.", "classifier.3.");
  file["classifier.6.weight"] = Tensor::zeros({10, 16}, DType::f32);
  file["classifier.6.bias"] = Tensor::zeros({10}, DType::f32);
  const WeightsReport report = start_from_weights(model, kClasses, {"vgg16.pth", file, {}}, false);
  CHECK(report.classifier);
  CHECK(report.unexpected.empty());
  CHECK(report.taken == 2 * 13 + 4);
  CHECK(numbers(weights_of(model).at("roi_heads.box_head.fc6.weight")) ==
        numbers(own.at("roi_heads.box_head.fc6.weight")));
  for (const std::string& name : report.missing)
    CHECK_MESSAGE((name.starts_with("rpn.") || name.starts_with("roi_heads.box_predictor.")), name);
  // Stages 1 and 2 are frozen: conv1_1 to conv2_2.
  for_each_parameter(*model.backbone, [](const std::string& name, Var& value) {
    const bool early =
        name.starts_with("0.") || name.starts_with("2.") || name.starts_with("5.") || name.starts_with("7.");
    CHECK_MESSAGE(value.requires_grad() == !early, name);
  });
}

TEST_CASE("torchvision's files: layer4 of a ResNet classifier becomes the head of a C4 model") {
  ModelConfig config = small_config("resnet18-c4");
  config.box_head = "layer4";
  config.norm = "folded";
  FasterRcnn folded(config, 2, Init(4));
  config.norm = "batch";
  config.frozen_stages = 0;
  FasterRcnn source(config, 2, Init(3)), model(config, 2, Init(5));
  randomise_norms(source);
  Tensors own = weights_of(source), file;
  move_names(own, file, "backbone.body.", "");
  move_names(own, file, "roi_heads.box_head.", "");
  file["fc.weight"] = Tensor::zeros({10, 512}, DType::f32);
  CHECK(file.contains("layer4.1.conv2.weight"));
  WeightsReport report = start_from_weights(model, kClasses, {"resnet18.pth", file, {}}, false);
  CHECK(report.unexpected.empty());
  CHECK(numbers(weights_of(model).at("roi_heads.box_head.layer4.0.bn2.running_var")) ==
        numbers(own.at("roi_heads.box_head.layer4.0.bn2.running_var")));
  // The normalisation is folded while loading, in the head as well as in the backbone.
  report = start_from_weights(folded, kClasses, {"resnet18.pth", file, {}}, false);
  CHECK(report.unexpected.empty());
  for (const std::string& name : report.missing)
    CHECK_MESSAGE((name.starts_with("rpn.") || name.starts_with("roi_heads.box_predictor.")), name);
  const Tensor pooled = Tensor::empty({2, 2, 2, 256}, DType::f32);
  RandomSequence random(5, Purpose::test);
  for (float& value : pooled.mutable_values<float>()) value = random.normal();
  Context ctx;
  const std::vector<float> apart = numbers((*model.head.body)(ctx, Var(pooled)).value()),
                           into = numbers((*folded.head.body)(ctx, Var(pooled)).value());
  float largest = 0, worst = 0;
  for (size_t i = 0; i < apart.size(); ++i) {
    largest = std::max(largest, std::fabs(apart[i]));
    worst = std::max(worst, std::fabs(apart[i] - into[i]));
  }
  CHECK(worst <= 1e-5f * largest);
}

TEST_CASE("export: a model with batch normalisation can load every exported tensor and computes the same") {
  for (const std::string name : {"nano-fpn", "resnet18-c4"}) {
    CAPTURE(name);
    for (const char* norm : {"folded", "frozen", "batch"}) {
      CAPTURE(norm);
      FasterRcnn model = small_model(name, norm, 6), twin = small_model(name, "frozen", 7);
      if (norm == std::string("folded"))
        for_each_parameter(model, [](const std::string& parameter, Var& value) {
          if (parameter.ends_with("bias")) value.value().fill(0.25);
        });
      else
        randomise_norms(model);
      const auto exported = export_weights(model);
      load_weights(twin, {exported.begin(), exported.end()}, "exported");  // all names must match
      const ImageBatch images = noise(1, 32, 48, DType::f32);
      Context ctx;
      const auto ours = (*model.backbone)(ctx, Var(images.pixels));
      const auto theirs = (*twin.backbone)(ctx, Var(images.pixels));
      CHECK(numbers(ours.back().value()) == numbers(theirs.back().value()));
    }
  }
  FasterRcnn vgg(small_config("vgg16"), 2, Init(1));
  CHECK(export_weights(vgg).size() == save_weights(vgg).size());
}
