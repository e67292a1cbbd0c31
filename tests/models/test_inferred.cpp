// Detectors from files that hold tensors alone.
#include "models/inferred.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/files/safetensors.h"
#include "models/detector.h"
#include "models/weights.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using List = std::vector<std::pair<std::string, Tensor>>;
using Names = std::vector<std::string>;

/// A detector that torchvision could have built, with a small head.
FasterRcnn torchvision_model(int64_t classes, const std::string& name = "resnet18-fpn",
                             const std::string& norm = "frozen") {
  ModelConfig config = model_config(name);
  config.norm = norm;
  config.box_head_size = 16;
  config.box_pool_size = 2;
  FasterRcnn model(config, classes, Init(3));
  randomise_norms(model);
  return model;
}

/// Writes the tensors without metadata and loads the detector.
Detector load(const List& tensors, const std::string& classes = "") {
  const TemporaryFolder folder;
  write_safetensors(folder / "tv.safetensors", tensors, {{"format", "pt"}});
  if (!classes.empty()) write_text(folder / "classes.txt", classes);
  return load_model(folder / "tv.safetensors", classes.empty() ? "" : folder / "classes.txt");
}

std::string refusal(const List& tensors) {
  const std::string sentence = input_error([&] { load(tensors); });
  CHECK(contains(sentence, "tv.safetensors"));
  CHECK_FALSE(contains(sentence, "\n"));
  return sentence;
}

List named(const Names& names) {
  List list;
  for (const std::string& name : names) list.emplace_back(name, Tensor::zeros({1}, DType::f32));
  return list;
}

bool same(const List& a, const List& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    const auto one = x.second.template values<float>(), other = y.second.template values<float>();
    return x.first == y.first && std::equal(one.begin(), one.end(), other.begin(), other.end());
  });
}

}  // namespace

TEST_CASE("inferred: a torchvision detector on COCO, under its names or wrapped ones") {
  FasterRcnn model = torchvision_model(90);
  const List weights = save_weights(model);
  for (const std::string& prefix : {std::string(), std::string("model.")}) {
    CAPTURE(prefix);
    List file;
    for (const auto& [name, tensor] : weights) file.emplace_back(prefix + name, tensor);
    file.emplace_back(prefix + "backbone.body.bn1.num_batches_tracked", Tensor::of<int64_t>({1}, {5}));
    Detector detector = load(file);
    const ModelConfig& config = detector.model->config;
    CHECK(config.backbone == "resnet18-fpn");
    CHECK(config.norm == "frozen");
    CHECK(config.norm_eps == 1e-5f);
    CHECK(config.box_head_size == 16);
    CHECK(config.box_pool_size == 2);
    CHECK(config.short_side == 800);
    CHECK(same(save_weights(*detector.model), weights));
    CHECK(detector.classes.size() == 90);
    CHECK(detector.classes[17 - 1] == "cat");
    CHECK(detector.category_ids[17 - 1] == 17);
    CHECK(contains(detector.note,
                   "resnet18-fpn with torchvision's settings and norm-eps 1e-05, COCO's classes"));
    CHECK(contains(detector.note, "prefix") == !prefix.empty());
  }
}

TEST_CASE("inferred: names of before torchvision 0.13 mean that frozen normalisation adds nothing") {
  FasterRcnn model = torchvision_model(90);
  const List weights = save_weights(model);
  List old;
  for (auto [name, tensor] : weights) {
    if (name.starts_with("rpn.head.conv.0.0")) name.erase(13, 4);
    if (name.starts_with("backbone.fpn.")) name.erase(name.rfind('.') - 2, 2);
    old.emplace_back(name, tensor);
  }
  Detector detector = load(old);
  CHECK(detector.model->config.norm_eps == 0);
  CHECK(same(save_weights(*detector.model), weights));
}

TEST_CASE("inferred: other numbers of classes, with and without names") {
  FasterRcnn model = torchvision_model(2);
  const List weights = save_weights(model);
  CHECK(load(weights).classes == Names{"class 1", "class 2"});
  CHECK(contains(load(weights).note, "2 classes without names; --classes FILE names them"));
  const Detector named = load(weights, "cat\ndog\n");
  CHECK(named.classes == Names{"cat", "dog"});
  CHECK(named.category_ids.empty());
  CHECK(contains(input_error([&] { load(weights, "cat\n"); }), "has 1 names; the model has 2 classes"));
}

TEST_CASE("inferred: a model for some of COCO's classes keeps torchvision's outputs for them") {
  const TemporaryFolder folder;
  FasterRcnn source = torchvision_model(90);
  const List weights = save_weights(source);
  write_safetensors(folder / "tv.safetensors", weights, {});
  ModelConfig config = source.config;
  Detector detector{std::make_unique<FasterRcnn>(config, 2, Init(5)), {"dog", "my own"}};
  const WeightsReport report = load_weights_file(folder / "tv.safetensors", detector, true);
  CHECK(report.kept_classes == Names{"dog"});
  const std::string bias = "roi_heads.box_predictor.cls_score.bias";
  const auto value = [&](const List& list, size_t row) {
    for (const auto& [name, tensor] : list)
      if (name == bias) return tensor.values<float>()[row];
    return 0.0F;
  };
  CHECK(value(save_weights(*detector.model), 1) == value(weights, 18));  // COCO's number of dogs
}

TEST_CASE("inferred: the other models, class-agnostic boxes, and masks beside the boxes") {
  for (const char* name : {"resnet18-c4", "resnet18-dc5", "vgg16"}) {
    CAPTURE(name);
    ModelConfig config = model_config(name);
    config.box_head_size = 16;
    FasterRcnn model(config, 2, Init(3));
    const List weights = save_weights(model);
    Detector detector = load(weights);
    CHECK(detector.model->config.backbone == name);
    CHECK(detector.model->config.box_head == config.box_head);
    CHECK(same(save_weights(*detector.model), weights));
  }
  ModelConfig config = model_config("resnet18-fpn");
  config.box_head_size = 16;
  config.box_class_agnostic = true;
  config.norm = "folded";
  FasterRcnn model(config, 2, Init(3));
  List weights = save_weights(model);
  weights.emplace_back("roi_heads.mask_head.0.0.weight", Tensor::zeros({1}, DType::f32));
  weights.emplace_back("roi_heads.mask_predictor.conv5_mask.bias", Tensor::zeros({1}, DType::f32));
  const Detector detector = load(weights);
  CHECK(detector.model->config.box_class_agnostic);
  CHECK(detector.model->config.norm == "folded");
  CHECK(contains(detector.note, "not used: roi_heads.mask_head, roi_heads.mask_predictor"));
}

TEST_CASE("inferred: what is not one of these detectors is called what it is") {
  FasterRcnn model = torchvision_model(2);
  const List weights = save_weights(model);
  const auto with = [&](const Names& more) {
    List list = weights;
    const List extra = named(more);
    list.insert(list.end(), extra.begin(), extra.end());
    return refusal(list);
  };
  CHECK(contains(with({"roi_heads.box_head.0.0.weight"}),
                 "is torchvision's fasterrcnn_resnet50_fpn_v2, which"));
  CHECK(contains(refusal(named({"backbone.body.0.0.weight", "rpn.head.cls_logits.weight"})),
                 "is torchvision's Faster R-CNN on a MobileNet"));
  CHECK(contains(refusal(named({"backbone.body.conv1.weight", "head.classification_head.cls_logits.bias"})),
                 "is torchvision's RetinaNet"));
  CHECK(contains(refusal(named({"backbone.body.conv1.weight", "head.classification_head.cls_logits.bias",
                                "head.regression_head.bbox_ctrness.bias"})),
                 "is torchvision's FCOS"));
  CHECK(
      contains(refusal(named({"backbone.features.0.weight", "head.classification_head.module_list.0.bias"})),
               "is torchvision's SSD"));
  CHECK(contains(refusal(named({"backbone.conv1.weight", "rpn_head.rpn_cls.weight"})),
                 "is a detector of mmdetection"));
  CHECK(contains(refusal(named({"backbone.bottom_up.stem.conv1.weight", "proposal_generator.x"})),
                 "is a detector of Detectron2"));
  CHECK(contains(refusal(named({"model.0.conv.weight", "model.24.m.0.bias"})), "is a YOLO"));
  List classifier;
  for (const auto& [name, tensor] : weights)
    if (name.starts_with("backbone.body.")) classifier.emplace_back(name.substr(14), tensor);
  CHECK(contains(refusal(classifier), "`rcnn train --model resnet18-fpn --weights`"));
  const std::string unknown = refusal(named({"a", "b", "c", "d", "e", "f"}));
  CHECK(contains(unknown, "it has a, b, c, d and 2 more; expected a checkpoint written by rcnn"));
  CHECK(contains(unknown, "backbone.body.conv1.weight"));
}

TEST_CASE("inferred: sizes that do not fit are refused before they cost memory") {
  FasterRcnn model = torchvision_model(2);
  const List weights = save_weights(model);
  const auto with = [&](const std::string& part, const Tensor& tensor) {
    List list = weights;
    for (auto& [name, value] : list)
      if (name.ends_with(part)) value = tensor;
    return refusal(list);
  };
  const auto empty = [](const Shape& shape) { return Tensor::empty(shape, DType::f32); };
  const int64_t huge = int64_t{1} << 40;
  CHECK(contains(with("cls_score.weight", empty({huge, 0})), "is not a detector that this program knows"));
  CHECK(contains(with("cls_score.weight", empty({20'000, 1})), "is not a detector that this program knows"));
  CHECK(contains(with("cls_score.weight", empty({3})), "is not a detector that this program knows"));
  CHECK(contains(with("cls_score.weight", empty({3, 17})), "has shape (3, 17), expected (3, 16)"));
  CHECK(contains(with("fc6.weight", empty({huge, 0})), "fc6.weight' has shape"));
  CHECK(contains(with("fc6.weight", empty({})), "fc6.weight' has shape"));
  CHECK(contains(with("bbox_pred.weight", empty({})), "has shape"));
  List less = weights;
  std::erase_if(less, [](const auto& entry) { return entry.first == "rpn.head.bbox_pred.bias"; });
  CHECK(contains(refusal(less), "tensor 'rpn.head.bbox_pred.bias' is missing"));
}

TEST_CASE("export: the metadata go with the tensors, also where normalisation was folded") {
  for (const char* norm : {"folded", "frozen", "batch"}) {
    CAPTURE(norm);
    ModelConfig config = small_config("nano-fpn");
    config.norm = norm;
    config.anchor_sizes = {{10, 20}, {30, 40}, {50, 60}};
    Detector detector{std::make_unique<FasterRcnn>(config, 2, Init(3)), {"cat", "dog"}, {7, 9}};
    if (norm == std::string("folded"))
      for_each_parameter(*detector.model, [](const std::string& name, Var& value) {
        if (name.ends_with("bias")) value.value().fill(0.25);
      });
    else
      randomise_norms(*detector.model);
    const TemporaryFolder folder;
    write_safetensors(folder / "exported", export_weights(*detector.model), detector_metadata(detector));
    Detector again = load_model(folder / "exported");
    CHECK(again.classes == detector.classes);
    CHECK(again.category_ids == detector.category_ids);
    CHECK(list_fields(again.model->config, model_fields()) == list_fields(config, model_fields()));
    CHECK(same(save_weights(*again.model), save_weights(*detector.model)));
    CHECK(again.note.empty());
  }
}
