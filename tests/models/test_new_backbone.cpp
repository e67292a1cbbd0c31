// Adds a backbone as docs/backbones.md describes.
#include <doctest/doctest.h>

#include <fstream>

#include "models/summary.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

// clang-format off
struct Tiny : Backbone {
  ConvNorm conv1, conv2;

  Tiny(Init& init, Norm norm)
      : conv1(ConvNorm::make(init, norm, 3, 16, 5, 4)), conv2(ConvNorm::make(init, norm, 16, 32, 3, 2)) {
    channels = {32};
  }
  std::vector<Var> operator()(Context& ctx, const Var& x) override {
    return {conv2(ctx, conv1(ctx, x, true), true)};
  }
  void visit(ParamVisitor& visitor) override {
    conv1.visit(visitor, "conv1", "bn1");
    conv2.visit(visitor, "conv2", "bn2");
  }
};

std::unique_ptr<Backbone> make_tiny(const ModelConfig& config, Init& init) {
  return std::make_unique<Tiny>(init, norm_of(config));
}
ModelConfig tiny_config() {
  ModelConfig config;
  config.anchor_sizes = {{16, 32, 64}};
  return config;
}

const BackboneEntry kLine =
    {"tiny", {8}, tiny_config, make_tiny};
// clang-format on

struct WithTiny {
  WithTiny() { backbone_table().push_back(kLine); }
  ~WithTiny() { backbone_table().pop_back(); }
};

std::vector<std::string> code_lines(const std::string& path, bool all) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  std::vector<std::string> lines;
  bool code = all;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (line.starts_with("```")) {
      code = all || !code;
    } else if (code && !line.empty()) {
      while (line.back() == ',' || line.back() == ';') line.pop_back();
      lines.push_back(line);
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("a backbone that is added as docs/backbones.md describes can be trained") {
  const WithTiny added;
  ModelConfig config = small_config("tiny");
  CHECK(config.backbone == "tiny");
  config.rpn_pre_nms_top_n_test = config.rpn_post_nms_top_n_test = 10;
  FasterRcnn model(config, 2, Init(1));
  Context ctx;
  ctx.training = ctx.grad = true;
  backward(ctx, model.losses(ctx, noise(2, 32, 48, DType::f32), two_images()).total);
  for_each_parameter(model,
                     [&](const std::string& name, Var& value) { CHECK_MESSAGE(value.has_gradient(), name); });

  FasterRcnn fresh(config, 2, Init(1));
  const std::vector<LayerCall> layers = list_layers(fresh, 32, 48);
  REQUIRE(layers.size() >= 2);
  CHECK(layers[0].name == "backbone.body.conv1");
  CHECK(layers[0].output == Shape{1, 8, 12, 16});
  CHECK(layers[0].parameters == 16 * 5 * 5 * 3);
  CHECK(layers[0].flop == 2.0 * 8 * 12 * 16 * 5 * 5 * 3);
  CHECK(layers[1].output == Shape{1, 4, 6, 32});
}

TEST_CASE("the code in docs/backbones.md is the same as the tested code") {
  const std::vector<std::string> tested = code_lines("tests/models/test_new_backbone.cpp", true);
  const std::vector<std::string> told = code_lines("docs/backbones.md", false);
  CHECK(told.size() > 20);
  for (const std::string& line : told)
    CHECK_MESSAGE(std::find(tested.begin(), tested.end(), line) != tested.end(), line);
}
