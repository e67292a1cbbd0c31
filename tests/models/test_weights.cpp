// Weights files: torchvision's layout, and what a file must contain.
#include "models/weights.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/data/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Tensors = std::map<std::string, Tensor>;

template <class T>
std::vector<T> values(const Tensor& tensor) {
  const auto span = tensor.values<T>();
  return {span.begin(), span.end()};
}

FasterRcnn make_model(uint64_t seed) { return {tiny_model(), 3, Init(seed)}; }

Tensors weights_of(FasterRcnn& model) {
  const auto list = save_weights(model);
  return {list.begin(), list.end()};
}

bool same(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.shape() == y.second.shape() &&
           values<float>(x.second) == values<float>(y.second);
  });
}

/// The message with which these tensors are refused. Checks that the model has not changed.
std::string refusal(const Tensors& tensors) {
  FasterRcnn model = make_model(2);
  const Tensors before = weights_of(model);
  const std::string sentence = input_error([&] { load_weights(model, tensors, "some/file"); });
  CHECK(same(weights_of(model), before));
  CHECK(sentence.starts_with("some/file: tensor '"));
  return sentence;
}

}  // namespace

TEST_CASE("weights: a filter (K, R, S, C) is stored as (K, C, R, S)") {
  // Every element is 100 k + 10 (2 r + s) + c.
  const Tensor filter = Tensor::of<float>({2, 1, 2, 3}, {0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112});
  const Tensor stored = to_file_layout(filter, {});
  CHECK(stored.shape() == Shape{2, 3, 1, 2});
  CHECK(values<float>(stored) == std::vector<float>{0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112});
  CHECK(values<float>(from_file_layout(stored, filter.shape(), {})) == values<float>(filter));

  const Tensor square = Tensor::of<double>({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(values<double>(to_file_layout(square, {})) == std::vector<double>{1, 3, 5, 7, 2, 4, 6, 8});
  CHECK(values<double>(from_file_layout(to_file_layout(square, {}), square.shape(), {})) ==
        values<double>(square));
}

TEST_CASE("weights: the layer after pooling reads (PH, PW, C) here, but is stored for (C, PH, PW)") {
  const Shape pooled = {1, 2, 3};  // two positions of three channels per row
  const Tensor weight = Tensor::of<float>({2, 6}, {0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112});
  const Tensor stored = to_file_layout(weight, pooled);
  CHECK(stored.shape() == Shape{2, 6});
  CHECK(values<float>(stored) == std::vector<float>{0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112});
  CHECK(values<float>(from_file_layout(stored, weight.shape(), pooled)) == values<float>(weight));
}

TEST_CASE("weights: all other tensors are copied and keep their layout") {
  for (const Shape& shape : {Shape{6}, Shape{2, 3}, Shape{}}) {
    const Tensor tensor = Tensor::zeros(shape, DType::f32);
    for (size_t i = 0; i < static_cast<size_t>(tensor.numel()); ++i)
      tensor.mutable_values<float>()[i] = static_cast<float>(i);
    const Tensor stored = to_file_layout(tensor, {}), back = from_file_layout(stored, shape, {});
    CHECK(stored.shape() == shape);
    CHECK(values<float>(stored) == values<float>(tensor));
    CHECK(values<float>(back) == values<float>(tensor));
    stored.fill(-1);
    CHECK(tensor.values<float>()[0] == 0);
    CHECK(back.values<float>()[0] == 0);
  }
}

TEST_CASE("weights: the saved tensors have torchvision's names and shapes") {
  FasterRcnn model = make_model(1);
  const Tensors weights = weights_of(model);
  CHECK(weights.at("backbone.body.conv1.weight").shape() == Shape{16, 3, 3, 3});
  CHECK(weights.at("backbone.body.bn1.running_mean").shape() == Shape{16});
  CHECK(weights.at("backbone.body.layer2.0.downsample.0.weight").shape() == Shape{64, 32, 1, 1});
  CHECK(weights.at("backbone.fpn.inner_blocks.0.0.weight").shape() == Shape{32, 32, 1, 1});
  CHECK(weights.at("rpn.head.cls_logits.weight").shape() == Shape{6, 32, 1, 1});
  CHECK(weights.at("rpn.head.bbox_pred.weight").shape() == Shape{24, 32, 1, 1});
  CHECK(weights.at("roi_heads.box_head.fc6.weight").shape() == Shape{32, 3 * 3 * 32});
  CHECK(weights.at("roi_heads.box_predictor.cls_score.weight").shape() == Shape{4, 32});
  CHECK(weights.at("roi_heads.box_predictor.bbox_pred.bias").shape() == Shape{16});
}

TEST_CASE("weights: a model loads the parameters and running statistics that another saved") {
  FasterRcnn from = make_model(1), to = make_model(2);
  visit_module(
      from, [](const std::string&, Var&, const Shape&) {},
      [](const std::string&, Tensor& buffer) { buffer.fill(0.75); });
  CHECK_FALSE(same(weights_of(from), weights_of(to)));
  load_weights(to, weights_of(from), "file");
  CHECK(same(weights_of(from), weights_of(to)));
  CHECK(weights_of(to).at("backbone.body.bn1.running_var").values<float>()[15] == 0.75f);

  // Both also compute with the same numbers, because the filters in memory are the same.
  std::vector<std::vector<float>> in_memory;
  for (FasterRcnn* model : {&from, &to})
    for_each_parameter(*model, [&](const std::string& name, Var& value) {
      if (name == "roi_heads.box_head.fc6.weight") in_memory.push_back(values<float>(value.value()));
    });
  CHECK(in_memory.at(0) == in_memory.at(1));
}

TEST_CASE("weights: errors name the tensor that is missing, unexpected, or of another shape or type") {
  FasterRcnn model = make_model(1);
  const Tensors good = weights_of(model);
  const std::string last = "roi_heads.box_predictor.bbox_pred.weight";  // other tensors come before it
  REQUIRE(good.contains(last));

  Tensors bad = good;
  bad.erase(last);
  CHECK(refusal(bad) == "some/file: tensor '" + last + "' is missing; this model needs it");
  bad = good;
  bad["extra.weight"] = Tensor::zeros({2, 5}, DType::f32);
  CHECK(refusal(bad) == "some/file: tensor 'extra.weight' of shape (2, 5) is not part of this model");
  bad = good;
  bad[last] = Tensor::zeros({16, 31}, DType::f32);
  CHECK(refusal(bad) == "some/file: tensor '" + last + "' has shape (16, 31), expected (16, 32)");
  bad[last] = Tensor::zeros({16 * 32}, DType::f32);  // the same number of elements, but another rank
  CHECK(contains(refusal(bad), "has shape (512), expected (16, 32)"));
  bad[last] = Tensor::zeros({16, 32}, DType::f64);
  CHECK(refusal(bad) == "some/file: tensor '" + last + "' is f64, expected f32");
  bad = good;  // the layout in memory instead of the layout in a file
  bad["backbone.body.conv2.weight"] = Tensor::zeros({32, 3, 3, 16}, DType::f32);
  CHECK(contains(refusal(bad), "has shape (32, 3, 3, 16), expected (32, 16, 3, 3)"));
  CHECK(contains(refusal({}), "is missing"));
}
