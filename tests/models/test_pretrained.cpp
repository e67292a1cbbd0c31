// Starting from weights of another model: which tensors are used, which are not, and what is reported about
// it.
#include "models/pretrained.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/files/safetensors.h"
#include "models/weights.h"
#include "tests/models/models.h"
#include "train/sgd.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Tensors = std::map<std::string, Tensor>;
using Names = std::vector<std::string>;

const Names kClasses = {"cat", "dog"};
const std::string kScores = "roi_heads.box_predictor.cls_score.",
                  kBoxes = "roi_heads.box_predictor.bbox_pred.";

std::vector<float> numbers(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

Tensors weights_of(FasterRcnn& model) {
  const auto list = save_weights(model);
  return {list.begin(), list.end()};
}

bool same(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && numbers(x.second) == numbers(y.second);
  });
}

/// The weights file of a detector with random normalisation statistics.
WeightsFile detector_file(const Names& classes = kClasses, const std::string& name = "nano-fpn",
                          const std::string& norm = "batch") {
  ModelConfig config = small_config(name);
  config.norm = norm;
  FasterRcnn model(config, std::ssize(classes), Init(50));
  randomise_norms(model);
  return {"a/file", weights_of(model), classes};
}

/// The weights file of an image classifier with the same backbone as `detector_file`.
WeightsFile classifier_file() {
  WeightsFile file{"a/file", {}, {}};
  const std::string body = "backbone.body.";
  for (const auto& [name, tensor] : detector_file().tensors)
    if (name.starts_with(body)) file.tensors[name.substr(body.size())] = tensor;
  file.tensors["fc.weight"] = Tensor::zeros({10, 128}, DType::f32);
  file.tensors["fc.bias"] = Tensor::zeros({10}, DType::f32);
  file.tensors["bn1.num_batches_tracked"] = Tensor::zeros({}, DType::i64);
  return file;
}

/// The message with which a file is refused. Checks that the model has not changed.
std::string refusal(FasterRcnn& model, const WeightsFile& file, bool keep_classes = false) {
  const Tensors before = weights_of(model);
  const std::string sentence = input_error([&] { start_from_weights(model, kClasses, file, keep_classes); });
  CHECK(same(weights_of(model), before));
  CHECK(sentence.starts_with("a/file: "));
  CHECK_FALSE(contains(sentence, "\n"));
  return sentence;
}

/// The `group` rows of class `row` in a tensor of shape (classes x group, ...).
std::vector<float> row_of(const Tensor& tensor, int64_t row, int64_t group) {
  const int64_t size = tensor.numel() / tensor.dim(0) * group;
  const auto all = tensor.values<float>();
  return {all.begin() + row * size, all.begin() + (row + 1) * size};
}

}  // namespace

TEST_CASE("pretrained: all tensors of a detector with the same classes are used") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  const WeightsFile file = detector_file();
  const WeightsReport report = start_from_weights(model, kClasses, file, false);
  CHECK(same(weights_of(model), file.tensors));
  CHECK(report.taken == file.tensors.size());
  CHECK(report.tensors == file.tensors.size());
  CHECK_FALSE(report.classifier);
  CHECK(report.text() == fmt::format("a/file: {0} of the model's {0} tensors", report.taken));
}

TEST_CASE("pretrained: without class names, an equal number of outputs means the same classes") {
  // Files of other programs have no class names. Those programs also only compare the number of classes.
  WeightsFile file = detector_file();
  file.classes.clear();
  file.tensors["backbone.body.bn1.num_batches_tracked"] = Tensor::zeros({}, DType::i64);
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  const WeightsReport report = start_from_weights(model, kClasses, file, false);
  CHECK_FALSE(report.other_classes);
  CHECK(report.unexpected.empty());
  CHECK(report.taken == report.tensors);

  file = detector_file({"a", "b", "c"});
  file.classes.clear();
  CHECK(start_from_weights(model, kClasses, file, false).other_classes);
  CHECK(refusal(model, file, true) ==
        "a/file: --keep-classes needs a detector's file with the names of its classes");
}

TEST_CASE("pretrained: with other classes, the outputs for class and box keep their initial values") {
  for (const Names& classes : {Names{"ant"}, Names{"dog", "cat"}, Names{"ant", "bee", "cat"}}) {
    FasterRcnn model = small_model("nano-fpn", "batch", 1);
    const Tensors before = weights_of(model);
    const WeightsFile file = detector_file(classes);
    const WeightsReport report = start_from_weights(model, kClasses, file, false);
    CHECK(report.other_classes);
    CHECK(report.kept_classes.empty());
    CHECK(report.taken == report.tensors - 4);
    CHECK(report.missing.empty());
    CHECK(report.other_shape.empty());
    for (const auto& [name, tensor] : weights_of(model)) {
      const bool output = name.starts_with("roi_heads.box_predictor.");
      CHECK_MESSAGE(numbers(tensor) == numbers(output ? before.at(name) : file.tensors.at(name)), name);
    }
    CHECK(contains(report.text(), "other classes: the outputs for class and box are initialised at random"));
  }
}

TEST_CASE("pretrained: keep-classes uses the rows of classes with equal names, in any order") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  const Tensors before = weights_of(model);
  const WeightsFile file = detector_file({"ant", "dog", "bee"});
  const WeightsReport report = start_from_weights(model, kClasses, file, true);
  CHECK(report.kept_classes == Names{"dog"});
  const Tensors after = weights_of(model);
  struct Output {
    std::string name;
    int64_t group;
  };
  for (const Output& o : {Output{kScores, 1}, Output{kBoxes, 4}})
    for (const char* part : {"weight", "bias"}) {
      const std::string name = o.name + part;
      CAPTURE(name);
      const Tensor &now = after.at(name), &theirs = file.tensors.at(name), &initial = before.at(name);
      CHECK(row_of(now, 0, o.group) == row_of(theirs, 0, o.group));   // the background
      CHECK(row_of(now, 1, o.group) == row_of(initial, 1, o.group));  // cat: not in the file
      CHECK(row_of(now, 2, o.group) == row_of(theirs, 2, o.group));   // dog: second in both
    }
  // The same two classes in another order.
  const WeightsFile turned = detector_file({"dog", "cat"});
  CHECK(start_from_weights(model, kClasses, turned, true).kept_classes == kClasses);
  const Tensors swapped = weights_of(model);
  CHECK(row_of(swapped.at(kBoxes + "weight"), 1, 4) == row_of(turned.tensors.at(kBoxes + "weight"), 2, 4));
  CHECK(row_of(swapped.at(kBoxes + "weight"), 2, 4) == row_of(turned.tensors.at(kBoxes + "weight"), 1, 4));
  CHECK(contains(start_from_weights(model, kClasses, turned, true).text(),
                 "are kept for cat, dog, the others are"));
  // No name in common: only the background is used.
  const WeightsReport none = start_from_weights(model, kClasses, detector_file({"ant"}), true);
  CHECK(none.kept_classes.empty());
}

TEST_CASE("pretrained: an image classifier provides the backbone") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  const Tensors before = weights_of(model);
  WeightsFile file = classifier_file();
  const WeightsReport report = start_from_weights(model, kClasses, file, false);
  CHECK(report.classifier);
  CHECK(report.unexpected.empty());
  CHECK(report.other_shape.empty());
  CHECK_FALSE(report.other_classes);
  for (const auto& [name, tensor] : weights_of(model)) {
    const bool body = name.starts_with("backbone.body.");
    CHECK_MESSAGE(numbers(tensor) == numbers(body ? file.tensors.at(name.substr(14)) : before.at(name)),
                  name);
  }
  CHECK(report.text() == fmt::format("a/file: {} of the model's {} tensors, from an image classifier as the "
                                     "backbone\n  not in the file, initialised at random: backbone.fpn "
                                     "(12), rpn (6), roi_heads (8)",
                                     report.taken, report.tensors));
  CHECK(contains(refusal(model, file, true), "--keep-classes needs a detector's file"));

  std::erase_if(file.tensors, [](const auto& entry) { return entry.first.starts_with("layer3"); });
  const WeightsReport shorter = start_from_weights(model, kClasses, file, false);
  CHECK(contains(shorter.text(), "not in the file, initialised at random: backbone.body.layer3 ("));
}

TEST_CASE("pretrained: tensors of another shape or type and unknown tensors are reported and not used") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  const Tensors before = weights_of(model);
  WeightsFile file = detector_file();
  const std::string name = "rpn.head.cls_logits.weight";  // for another number of anchors
  file.tensors[name] = Tensor::zeros({9, 32, 1, 1}, DType::f32);
  file.tensors["roi_heads.box_head.fc7.bias"] = Tensor::zeros({16}, DType::i32);
  file.tensors["roi_heads.mask_head.weight"] = Tensor::zeros({2}, DType::f32);
  file.tensors.erase("rpn.head.bbox_pred.bias");
  const WeightsReport report = start_from_weights(model, kClasses, file, false);
  CHECK(report.other_shape == Names{name + " f32 (9, 32, 1, 1), expected f32 (6, 32, 1, 1)",
                                    "roi_heads.box_head.fc7.bias i32 (16), expected f32 (16)"});
  CHECK(report.unexpected == Names{"roi_heads.mask_head.weight"});
  CHECK(report.missing == Names{"rpn.head.bbox_pred.bias"});
  CHECK(report.taken == report.tensors - 3);
  CHECK(numbers(weights_of(model).at(name)) == numbers(before.at(name)));
  const std::string text = report.text();
  CHECK(contains(text, "\n  not in the file, initialised at random: rpn (1)"));
  CHECK(contains(
      text, "\n  of another shape, initialised at random: rpn.head.cls_logits.weight f32 (9, 32, 1, 1), "));
  CHECK(contains(text, "\n  not used: roi_heads.mask_head.weight"));
}

TEST_CASE("pretrained: keep-classes does not use rows of another width") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  WeightsFile file = detector_file({"dog", "ant"});
  file.tensors[kScores + "weight"] = Tensor::zeros({3, 17}, DType::f32);
  const WeightsReport report = start_from_weights(model, kClasses, file, true);
  CHECK(report.other_shape == Names{kScores + "weight f32 (3, 17), expected f32 (3, 16)"});
  file.tensors[kScores + "bias"] = Tensor::zeros({5}, DType::f32);
  CHECK(refusal(model, file) == "a/file: has 5 rows of class scores for 2 classes and the background");
}

TEST_CASE("pretrained: a file is refused if none of its tensors fits the backbone") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  CHECK(contains(refusal(model, {"a/file", {}, {}}), "none of its tensors fits the backbone of nano-fpn"));
  CHECK(contains(refusal(model, {"a/file", {{"x", Tensor::zeros({2}, DType::f32)}}, {}}), "1 unknown"));
  // The file of another model. Some biases of the head have the same length by coincidence.
  const std::string sentence = refusal(model, detector_file(kClasses, "resnet18-c4", "frozen"));
  CHECK(contains(sentence, "of another shape, "));
  CHECK(contains(sentence, "backbone.body.conv1.weight f32 (64, 3, 7, 7), expected f32 (16, 3, 3, 3)"));
}

TEST_CASE("pretrained: a file with folded normalisation is refused if normalisation is to be trained") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  CHECK(refusal(model, detector_file(kClasses, "nano-fpn", "folded")) ==
        "a/file: its batch normalisation is folded into the convolutions ('backbone.body.conv1.bias' is "
        "present, 'backbone.body.bn1.weight' is missing); --norm batch needs a file that still has it: use "
        "--norm frozen or folded");
}

TEST_CASE("pretrained: frozen stages get no gradient and do not change, the others do") {
  for (const char* norm : {"batch", "frozen", "folded"}) {
    CAPTURE(norm);
    FasterRcnn model = small_model("nano-fpn", norm, 1);
    model.config.frozen_stages = 2;
    const WeightsReport report =
        start_from_weights(model, kClasses, detector_file(kClasses, "nano-fpn", norm), false);
    CHECK(contains(report.text(), "; frozen: the stem and layer1"));
    const Tensors before = weights_of(model);
    Context ctx;
    Sgd sgd(ctx, model, {});
    ctx.training = ctx.grad = true;
    backward(ctx, model.losses(ctx, noise(2, 32, 48, DType::f32), two_images()).total);
    for_each_parameter(model, [](const std::string& name, Var& value) {
      const bool frozen =
          contains(name, "body.conv") || contains(name, "body.bn") || contains(name, "layer1.");
      if (frozen) CHECK_MESSAGE(!value.has_gradient(), name);
      if (!frozen && value.requires_grad()) CHECK_MESSAGE(value.has_gradient(), name);
    });
    sgd.step(ctx, 0.1f);
    size_t moved = 0;
    for (const auto& [name, tensor] : weights_of(model)) {
      const bool changed = numbers(tensor) != numbers(before.at(name));
      const bool frozen =
          contains(name, "body.conv") || contains(name, "body.bn") || contains(name, "layer1.");
      CHECK_MESSAGE(!(changed && frozen), name);
      moved += changed;
    }
    CHECK(moved >= 30);  // layer2, layer3, pyramid, RPN and head
  }
}

TEST_CASE("pretrained: a stage that is missing in the file cannot be frozen") {
  FasterRcnn model = small_model("nano-fpn", "batch", 1);
  model.config.frozen_stages = 4;
  WeightsFile file = classifier_file();
  CHECK(start_from_weights(model, kClasses, file, false).frozen_stages == 4);
  FasterRcnn other = small_model("nano-fpn", "batch", 1);
  other.config.frozen_stages = 4;
  std::erase_if(file.tensors, [](const auto& entry) { return entry.first.starts_with("layer3"); });
  CHECK(contains(refusal(other, file),
                 "none of its tensors fits backbone.body.layer3.0.conv1.weight, which would be frozen at "
                 "random values: expected --frozen-stages 3 or fewer"));
}

TEST_CASE("pretrained: without weights, nothing is frozen") {
  ModelConfig config = model_config("resnet18-fpn");
  CHECK(start_from_scratch(config) ==
        "without --weights nothing is frozen, and batch normalisation is trained");
  CHECK(config.frozen_stages == 0);
  CHECK(config.norm == "batch");
  CHECK(start_from_scratch(config).empty());
  config.norm = "folded";
  config.frozen_stages = 1;
  CHECK(start_from_scratch(config) == "without --weights nothing is frozen");
  CHECK(config.norm == "folded");
}

TEST_CASE("pretrained: the folded ImageNet weights fit resnet18-c4, and resnet18-fpn except for layer4") {
  const std::filesystem::path path =
      "../shared/data/weights/resnet18_imagenet_folded_stem_to_layer3.safetensors";
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: there is no " << path.string());
    return;
  }
  const WeightsFile file{path.string(), read_safetensors(path).tensors, {}};
  for (const char* name : {"resnet18-c4", "resnet18-fpn"})
    for (const char* norm : {"frozen", "folded"}) {
      CAPTURE(name);
      CAPTURE(norm);
      FasterRcnn model = small_model(name, norm, 1);
      const WeightsReport report = start_from_weights(model, kClasses, file, false);
      CHECK(report.classifier);
      CHECK(report.unexpected.empty());
      CHECK(report.other_shape.empty());
      const bool lacks_layer4 = contains(report.text(), "backbone.body.layer4 (");
      CHECK(lacks_layer4 == (name == std::string("resnet18-fpn")));
      CHECK_FALSE(contains(report.text(), "backbone.body.layer3"));
    }
}
