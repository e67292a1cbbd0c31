// What a Faster R-CNN is made of and how it samples, decodes and suppresses: everything that has to be known
// to rebuild a model from a checkpoint. Names and defaults are torchvision's.
#pragma once

#include "core/config.h"
#include "core/context.h"

namespace rcnn {

struct ModelConfig {
  std::string backbone = "nano-fpn";

  std::string precision = "f32";  // of convolutions and matrix products: f32, tf32 or bf16

  /// Batch normalisation of the backbone: `batch` is trained with the rest, `frozen` keeps its weights and
  /// running statistics, `folded` is part of the convolutions' weights and biases. See models/blocks.h.
  std::string norm = "batch";
  /// How much of the backbone stays as it is when a run starts from weights: 0 nothing, 1 the stem, 2 the
  /// stem and layer1, and so on. Random values are never frozen. See freeze_stages.
  int64_t frozen_stages = 0;

  // input
  int64_t short_side = 800, long_side = 1333;  // pixels after resizing
  int64_t size_divisible = 32;                 // batches are padded to a multiple of this

  // anchors: sizes in pixels, one list a level; every size with every ratio (height / width)
  Levels anchor_sizes = {{32}, {64}, {128}, {256}, {512}};
  Levels anchor_ratios = {{0.5f, 1.0f, 2.0f}};

  // region proposal network
  float rpn_fg_iou_thresh = 0.7f, rpn_bg_iou_thresh = 0.3f;
  int64_t rpn_batch_size_per_image = 256;
  float rpn_positive_fraction = 0.5f;
  float rpn_smooth_l1_beta = 1.0f / 9;
  int64_t rpn_pre_nms_top_n_train = 2000, rpn_pre_nms_top_n_test = 1000;    // a level
  int64_t rpn_post_nms_top_n_train = 2000, rpn_post_nms_top_n_test = 1000;  // an image
  float rpn_nms_thresh = 0.7f;
  float rpn_min_size = 1e-3f;

  // RoI pooling
  int64_t box_pool_size = 7;
  int64_t box_sampling_ratio = 2;
  float box_canonical_size = 224;   // an RoI of this side ...
  int64_t box_canonical_level = 2;  // ... is pooled from this level, counted from the finest

  // head
  int64_t box_head_size = 1024;
  int64_t box_batch_size_per_image = 512;
  float box_positive_fraction = 0.25f;
  float box_fg_iou_thresh = 0.5f, box_bg_iou_thresh = 0.5f;
  float box_smooth_l1_beta = 1.0f / 9;
  float box_score_thresh = 0.05f;
  float box_nms_thresh = 0.5f;
  int64_t box_detections_per_img = 100;
  float box_min_size = 1e-2f;
};

std::span<const Field<ModelConfig>> model_fields();

/// The configuration of a model of this name, or InputError listing the names there are.
ModelConfig model_config(std::string_view name);
/// "f32", "tf32" or "bf16" as a Context has it.
Precision parse_precision(std::string_view name);
/// Names of all models.
std::vector<std::string> model_names();
/// Pixels of the input per cell of each level that has anchors, finest first.
std::vector<int64_t> level_strides(const ModelConfig& config);

}  // namespace rcnn
