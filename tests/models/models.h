// Small models, batches and objects for the tests of models/.
#pragma once

#include "core/rng.h"
#include "models/faster_rcnn.h"
#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

/// The configuration of this model with few samples and a small head, so that every pass is quick.
inline ModelConfig small_config(const std::string& name = "nano-fpn") {
  ModelConfig config = model_config(name);
  config.rpn_batch_size_per_image = 16;
  config.box_batch_size_per_image = 8;
  config.rpn_pre_nms_top_n_train = config.rpn_post_nms_top_n_train = 20;
  config.box_pool_size = 2;
  config.box_head_size = 16;
  return config;
}

/// A model with that configuration, for two classes.
inline FasterRcnn small_model(const std::string& name, const std::string& norm, uint64_t seed) {
  ModelConfig config = small_config(name);
  config.norm = norm;
  config.frozen_stages = 0;
  return {config, 2, Init(seed)};
}

inline ImageBatch noise(int64_t n, int64_t h, int64_t w, DType dtype) {
  RandomSequence random(5, Purpose::test);
  Tensor pixels = Tensor::empty({n, h, w, 3}, DType::f64);
  for (double& value : pixels.mutable_values<double>()) value = static_cast<double>(random.normal());
  Tensor size = Tensor::empty({n, 2}, DType::f32);
  for (int64_t i = 0; i < n; ++i) {
    size.mutable_data<float>()[2 * i] = static_cast<float>(h);
    size.mutable_data<float>()[2 * i + 1] = static_cast<float>(w);
  }
  return {pixels.cast(dtype), size};
}

/// Ground truth of two images: two objects on the first, one on the second.
inline GroundTruth two_images() {
  return {Tensor::of<float>({2, 2, 4}, {4, 4, 22, 20, 20, 8, 45, 30, 10, 2, 40, 28, 0, 0, 0, 0}),
          Tensor::of<int32_t>({2, 2}, {1, 2, 2, 0}), Tensor::of<int32_t>({2}, {2, 1}),
          Tensor::of<int32_t>({2}, {0, 1})};
}

/// Sets weights and statistics of every normalisation in the backbone, and in layer4 of the head, to random
/// values.
inline void randomise_norms(FasterRcnn& model) {
  RandomSequence random(9, Purpose::test);
  const auto fill = [&](const std::string& name, const Tensor& tensor) {
    const bool normalised =
        name.starts_with("backbone.body.") || name.starts_with("roi_heads.box_head.layer4.");
    if (!normalised || tensor.shape().rank() != 1) return;
    const bool signs = name.ends_with("bias") || name.ends_with("mean");
    for (float& value : tensor.mutable_values<float>())
      value = signs ? random.uniform(-0.5f, 0.5f) : random.uniform(0.5f, 1.5f);
  };
  visit_module(
      model, [&](const std::string& name, Var& value, const Shape&) { fill(name, value.value()); },
      [&](const std::string& name, Tensor& value) { fill(name, value); });
}

}  // namespace rcnn::fixtures
