// Profiles: all their settings exist and have the values of the table of conventions.
#include <doctest/doctest.h>

#include <cmath>

#include "models/faster_rcnn.h"
#include "models/transform.h"
#include "tests/data/fixtures.h"
#include "train/config.h"
#include "train/profile.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

struct Configs {
  ModelConfig model;
  TrainConfig train;
};

Configs with_profile(const std::string& profile, const std::string& name) {
  Configs configs{model_config(name), {}};
  for (const auto& [key, text] : profile_settings(profile, name))
    CHECK_MESSAGE((set_field(configs.model, model_fields(), key, text) ||
                   set_field(configs.train, train_fields(), key, text)),
                  key);
  return configs;
}

}  // namespace

TEST_CASE("profile: torchvision changes nothing, an unknown one is refused") {
  CHECK(profile_settings("torchvision", "vgg16").empty());
  CHECK(input_error([] { profile_settings("caffe", "vgg16"); }).starts_with("profile: "));
}

TEST_CASE("profile: caffe2015 has the values of py-faster-rcnn") {
  const auto [model, train] = with_profile("caffe2015", "vgg16");
  CHECK(model.profile == "caffe2015");
  CHECK(model.channel_order == "bgr");
  CHECK(model.image_mean == Levels{{102.9801f, 115.9465f, 122.7717f}});
  CHECK(model.anchor_sizes == Levels{{128, 256, 512}});
  CHECK(model.box_nms_thresh == 0.3f);
  CHECK(model.box_batch_size_per_image == 128);
  CHECK(train.bias_lr_factor == 2);
  CHECK(train.batch * train.accumulate == 2);
  CHECK(model.box_dropout == 0.5f);  // the model's own
  // With a pyramid the anchor sizes stay: each level has its own.
  CHECK(with_profile("caffe2015", "resnet18-fpn").model.anchor_sizes ==
        model_config("resnet18-fpn").anchor_sizes);
}

TEST_CASE("profile: boxes of whole pixels are scaled to the network's input and back") {
  const ModelConfig config = with_profile("caffe2015", "vgg16").model;
  // 375 x 500 becomes 600 x 800 by a factor of 1.6. A box over the pixels 10 to 19 and 20 to 39 is 10 to 20
  // and 20 to 40 here, and 10 to 19 and 20 to 39 in the convention of whole pixels.
  const ResizedImage size = resized(config, 375, 500);
  CHECK(size.height == 600);
  CHECK(size.width == 800);
  const Box box = size.to_input({10, 20, 20, 40});
  CHECK(box.x1 == doctest::Approx(16));
  CHECK(box.y1 == doctest::Approx(32));
  CHECK(box.x2 == doctest::Approx(30.4));
  CHECK(box.y2 == doctest::Approx(62.4));
  const Box back = size.from_input(box);
  CHECK(back.x1 == doctest::Approx(10));
  CHECK(back.x2 == doctest::Approx(20));
  CHECK(back.y2 == doctest::Approx(40));
  // The long side decides: 400 x 1000 at 1.0, where its short side would be 600 at 1.5.
  CHECK(resized(config, 400, 1000).height == 400);
}

TEST_CASE("profile: with caffe2015 every trained parameter of a model gets a gradient") {
  for (const char* name : {"vgg16", "resnet18-c4"}) {
    CAPTURE(name);
    ModelConfig config = with_profile("caffe2015", name).model;
    config.box_pool_size = 2;
    config.box_head_size = 16;
    config.rpn_pre_nms_top_n_train = config.rpn_post_nms_top_n_train = 20;
    config.box_batch_size_per_image = 8;
    config.anchor_sizes = {{32, 48, 64}};  // for such small images
    FasterRcnn model(config, 2, Init(1));
    CHECK(model.rpn.objectness.weight.dim(0) == 2 * 9);
    Context ctx;
    ctx.training = ctx.grad = true;
    const int64_t h = 75, w = 110;
    Tensor pixels = Tensor::zeros({1, h, w, 3}, DType::f32);
    RandomSequence random(3, Purpose::test);
    for (float& value : pixels.mutable_values<float>()) value = 50 * random.normal();
    const ImageBatch images{pixels, Tensor::of<float>({1, 2}, {75, 110}), Tensor::of<float>({1}, {1.5f})};
    const GroundTruth truth{Tensor::of<float>({1, 1, 4}, {20, 10, 70, 60}), Tensor::of<int32_t>({1, 1}, {2}),
                            Tensor::of<int32_t>({1}, {1}), Tensor::of<int32_t>({1}, {0})};
    Samples samples;
    const Losses losses = model.losses(ctx, images, truth, {}, &samples);
    CHECK(std::isfinite(losses.total.value().item<float>()));
    backward(ctx, losses.total);
    for_each_parameter(model, [&](const std::string& parameter, Var& value) {
      CHECK_MESSAGE(value.has_gradient() == value.requires_grad(), parameter);
    });
    // Caffe's pooling rounds up, as strided convolutions do. Anchors across the border, as all of the first
    // cell's are, do not train.
    CHECK(samples.rpn.labels.dim(1) == (h + 15) / 16 * ((w + 15) / 16) * 9);
    for (int64_t a = 0; a < 9; ++a) CHECK(samples.rpn.labels.data<int32_t>()[a] == -1);
  }
}
