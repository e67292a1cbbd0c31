// Names of other programs, and what they become.
#include "models/weight_names.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/bf16.h"
#include "models/class_names.h"
#include "models/pretrained.h"
#include "models/weights.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Tensors = std::map<std::string, Tensor>;
using Names = std::vector<std::string>;

Tensors named(const Names& names) {
  Tensors tensors;
  for (const std::string& name : names) tensors[name] = Tensor::zeros({1}, DType::f32);
  return tensors;
}

Tensors prefixed(const Tensors& tensors, const std::string& prefix) {
  Tensors result;
  for (const auto& [name, tensor] : tensors) result[prefix + name] = tensor;
  return result;
}

const Names kClassifier = {"bn1.weight", "conv1.weight", "fc.weight", "layer1.0.conv1.weight"};
const Names kDetector = {"backbone.body.conv1.weight", "backbone.body.layer1.0.conv1.weight",
                         "rpn.head.cls_logits.weight"};

}  // namespace

TEST_CASE("weight names: whatever prefix a wrapper adds is removed") {
  for (const Names& names : {kClassifier, kDetector, Names{"features.0.weight", "classifier.0.weight"}})
    for (const char* prefix : {"", "module.", "model.", "state_dict.", "module.encoder_q.", "resnet.",
                               "state_dict.module.backbone.", "_orig_mod.", "a.b.c.d."}) {
      CAPTURE(prefix);
      Tensors tensors = prefixed(named(names), prefix);
      tensors["other.weight"] = Tensor::zeros({1}, DType::f32);
      const NameChanges changes = to_torchvision_names(tensors);
      CHECK(changes.prefix == prefix);
      for (const std::string& name : names) CHECK_MESSAGE(tensors.contains(name), name);
      if (*prefix != '\0') {
        CHECK(changes.left_out == Names{"other.weight"});
        CHECK(tensors.size() == names.size());
        CHECK(contains(changes.lines().at(0), fmt::format("prefix \"{}\"", prefix)));
        CHECK(contains(changes.lines().at(1), "other.weight"));
      } else {
        CHECK(changes.lines().empty());
        CHECK(tensors.size() == names.size() + 1);
      }
    }
  // A backbone under "backbone." is a classifier's, unless it is that of a detector.
  Tensors tensors = prefixed(named(kClassifier), "backbone.");
  CHECK(to_torchvision_names(tensors).prefix == "backbone.");
  // A prefix ends with a dot, and a name alone is none.
  tensors = named({"deconv1.weight", "prelayer1.0.conv1.weight", "preconv1.weight"});
  CHECK(to_torchvision_names(tensors).prefix.empty());
}

TEST_CASE("weight names: of two copies of a network, the one that is not a moving average") {
  for (const auto& [one, average] :
       {std::pair{"module.encoder_q.", "module.encoder_k."},
        std::pair{"module.base_encoder.", "a.momentum_encoder."},
        std::pair{"student.backbone.", "ema.backbone."}, std::pair{"online.", "aim.target."}}) {
    Tensors tensors = prefixed(named(kClassifier), one), other = prefixed(named(kClassifier), average);
    tensors.insert(other.begin(), other.end());
    const NameChanges changes = to_torchvision_names(tensors);
    CHECK(changes.prefix == one);
    CHECK(changes.left_out.size() == kClassifier.size());
  }
}

TEST_CASE("weight names: mmdetection's, and a ResNet's children") {
  Tensors tensors = prefixed(
      named({"backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "neck.lateral_convs.2.conv.bias",
             "neck.lateral_convs.0.conv.weight", "neck.fpn_convs.3.conv.weight", "rpn_head.rpn_conv.weight",
             "rpn_head.rpn_cls.weight", "rpn_head.rpn_reg.bias", "roi_head.bbox_head.shared_fcs.0.weight",
             "roi_head.bbox_head.shared_fcs.1.bias", "roi_head.bbox_head.fc_cls.weight"}),
      "module.");
  NameChanges changes = to_torchvision_names(tensors);
  CHECK(changes.mmdetection);
  CHECK(changes.prefix == "module.");
  CHECK(names_of(tensors) ==
        Names{"backbone.body.conv1.weight", "backbone.body.layer1.0.conv1.weight",
              "backbone.fpn.inner_blocks.0.0.weight", "backbone.fpn.inner_blocks.2.0.bias",
              "backbone.fpn.layer_blocks.3.0.weight", "roi_head.bbox_head.fc_cls.weight",
              "roi_heads.box_head.fc6.weight", "roi_heads.box_head.fc7.bias", "rpn.head.bbox_pred.bias",
              "rpn.head.cls_logits.weight", "rpn.head.conv.0.0.weight"});
  tensors = named({"encoder.0.weight", "encoder.1.running_mean", "encoder.4.0.conv1.weight",
                   "encoder.7.2.bn3.bias", "head.weight"});
  changes = to_torchvision_names(tensors);
  CHECK(changes.prefix == "encoder.");
  CHECK(names_of(tensors) ==
        Names{"bn1.running_mean", "conv1.weight", "layer1.0.conv1.weight", "layer4.2.bn3.bias"});
}

TEST_CASE("weight names: every floating-point type becomes f32") {
  Tensors tensors = {{"d", Tensor::of<double>({2}, {0.1, -3})},
                     {"b", Tensor::empty({3}, DType::bf16)},
                     {"f", Tensor::of<float>({1}, {0.5F})},
                     {"n", Tensor::of<int64_t>({1}, {7})},
                     {"bn1.num_batches_tracked", Tensor::of<int64_t>({1}, {7})}};
  const float values[] = {1.5F, -0.0078125F, 3e38F};
  for (size_t i = 0; i < 3; ++i) static_cast<bf16*>(tensors["b"].mutable_raw())[i] = to_bf16(values[i]);
  const NameChanges changes = to_torchvision_names(tensors);
  CHECK(changes.converted == Names{"bf16", "f64"});
  CHECK(contains(changes.lines().at(0), "converted from bf16 and f64 to f32"));
  CHECK(tensors.at("d").values<float>()[0] == 0.1F);
  CHECK(tensors.at("d").values<float>()[1] == -3);
  CHECK(tensors.at("b").values<float>()[0] == 1.5F);
  CHECK(tensors.at("b").values<float>()[1] == -0.0078125F);
  CHECK(std::fabs(tensors.at("b").values<float>()[2] / 3e38F - 1) < 1.0F / 256);
  CHECK(tensors.at("n").dtype() == DType::i64);
  CHECK_FALSE(tensors.contains("bn1.num_batches_tracked"));
}

TEST_CASE(
    "weight names: a model starts from wrapped weights, and the report and the refusal say which names") {
  FasterRcnn source = small_model("nano-fpn", "batch", 3), model = small_model("nano-fpn", "batch", 4);
  const auto list = save_weights(source);
  Tensors wrapped = prefixed({list.begin(), list.end()}, "state_dict.module.");
  const size_t count = wrapped.size();
  for (auto& [name, tensor] : wrapped) tensor = tensor.cast(DType::f64);
  const WeightsReport report = start_from_weights(model, {"cat", "dog"}, {"a/file", wrapped, {}}, false);
  CHECK(report.taken == count);
  CHECK(report.unexpected.empty());
  const auto now = save_weights(model);
  for (size_t i = 0; i < list.size(); ++i)
    CHECK(std::equal(list[i].second.values<float>().begin(), list[i].second.values<float>().end(),
                     now[i].second.values<float>().begin()));
  CHECK(contains(report.text(), "the prefix \"state_dict.module.\" of its names was removed"));
  CHECK(contains(report.text(), "converted from f64 to f32"));

  const auto refusal = [&](const Tensors& tensors) {
    return input_error([&] { start_from_weights(model, {"cat", "dog"}, {"a/file", tensors, {}}, false); });
  };
  const std::string other =
      refusal(named({"stages.0.w", "stages.1.w", "stages.2.w", "stages.3.w", "stages.4.w"}));
  CHECK(contains(other, "it has stages.0.w, stages.1.w, stages.2.w, stages.3.w and 1 more"));
  CHECK(contains(other, "expected backbone.body.conv1.weight, backbone.body.bn1.weight,"));
  CHECK(contains(refusal({}), "it has no tensors"));
  Tensors resnet = named({"conv1.weight", "layer3.5.conv1.weight", "layer1.0.conv3.weight"});
  for (const auto& [layer, blocks] : {std::pair{1, 3}, std::pair{2, 4}, std::pair{3, 6}, std::pair{4, 3}})
    for (int block = 0; block < blocks; ++block)
      resnet[fmt::format("layer{}.{}.conv1.weight", layer, block)] = Tensor::zeros({1}, DType::f32);
  CHECK(contains(refusal(resnet), "The file looks like --model resnet50-fpn"));
}

TEST_CASE("class names: COCO's categories keep their numbers") {
  const ClassNames coco = coco_classes();
  REQUIRE(coco.names.size() == 90);
  for (size_t i = 0; i < 90; ++i) CHECK(coco.category_ids[i] == static_cast<int64_t>(i) + 1);
  CHECK(coco.names[0] == "person");
  CHECK(coco.names[11] == "N/A (12)");
  CHECK(coco.names[12] == "stop sign");
  CHECK(coco.names[71] == "tv");
  CHECK(coco.names[89] == "toothbrush");
  CHECK(std::count_if(coco.names.begin(), coco.names.end(),
                      [](const std::string& name) { return !name.starts_with("N/A"); }) == 80);
}

TEST_CASE("class names: one per line of a file") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text, int64_t count) {
    write_text(folder / "names.txt", text);
    return read_class_names(folder / "names.txt", count);
  };
  const auto refusal = [&](const std::string& text, int64_t count) {
    return input_error([&] { read(text, count); });
  };
  CHECK(read("cat\ndog", 2) == Names{"cat", "dog"});
  CHECK(read("\xEF\xBB\xBF cat \r\n\r\nhot dog\t\r\n", 2) == Names{"cat", "hot dog"});
  CHECK(read("__background__\ncat\n", 1) == Names{"cat"});
  CHECK(read("background\ncat\n", 2) == Names{"background", "cat"});
  CHECK(
      contains(refusal("cat\n", 2), "names.txt has 1 names; the model has 2 classes besides the background"));
  CHECK(contains(refusal("cat\ndog\nant\n", 2), "has 3 names"));
  CHECK(contains(refusal("cat\ncat\n", 2), "\"cat\" twice"));
  CHECK(contains(refusal("caf\xE9\n", 1), "not UTF-8"));
  CHECK(contains(input_error([&] { read_class_names(folder / "none.txt", 1); }), "cannot be read"));
  CHECK(contains(input_error([&] { read_class_names(folder.path(), 1); }), "not a regular file"));
}
