// What a Faster R-CNN is made of and how it samples, decodes and suppresses: everything that has to be known
// to rebuild a model from a checkpoint. Names and defaults are torchvision's.
#pragma once

#include "core/config.h"
#include "core/context.h"

namespace rcnn {

struct ModelConfig {
  std::string backbone = "nano-fpn";
  std::string profile = "torchvision";  // whose conventions settings start from: see train/profile.h

  std::string precision = "f32";  // of convolutions and matrix products: f32, tf32 or bf16

  /// Normalisation of the backbone: `batch` is trained with the rest, `frozen` keeps its weights and running
  /// statistics, `folded` is part of the convolutions' weights and biases, `group` is group normalisation.
  /// See models/blocks.h.
  std::string norm = "batch";
  float norm_eps = 1e-5f;  // added to the variance; 0 for torchvision's COCO_V1 weights
  /// How much of the backbone stays as it is when a run starts from weights: 0 nothing, 1 the stem, 2 the
  /// stem and layer1, and so on. Random values are never frozen. See freeze_stages.
  int64_t frozen_stages = 0;

  // input
  int64_t short_side = 800, long_side = 1333;  // pixels after resizing
  int64_t size_divisible = 32;                 // batches are padded to a multiple of this
  std::string channel_order = "rgb";           // rgb or bgr, also of image_mean and image_std
  float pixel_range = 1;                       // what a byte of 255 becomes before the mean is taken off
  std::string size_rounding = "floor";         // of resized sides: floor, or nearest as in caffe2015
  Levels image_mean = {{0.485f, 0.456f, 0.406f}}, image_std = {{0.229f, 0.224f, 0.225f}};  // ImageNet's

  /// Corners are whole pixels: a width is x2 - x1 + 1, and the right edge of an image is at its width - 1.
  bool whole_pixels = false;
  bool limit_log_scale = true;  // of a decoded box: at most 1000 / 16 times its anchor or proposal

  // anchors: sizes in pixels, one list a level; every size with every ratio (height / width)
  Levels anchor_sizes = {{32}, {64}, {128}, {256}, {512}};
  Levels anchor_ratios = {{0.5f, 1.0f, 2.0f}};
  std::string anchor_cells = "torchvision";  // how they are rounded: torchvision or caffe2015

  // region proposal network
  std::string rpn_scores = "sigmoid";  // of one logit an anchor, or the softmax of two
  bool rpn_inside_only = false;        // anchors that reach across the image's border do not train
  float rpn_fg_iou_thresh = 0.7f, rpn_bg_iou_thresh = 0.3f;
  int64_t rpn_batch_size_per_image = 256;
  float rpn_positive_fraction = 0.5f;
  float rpn_smooth_l1_beta = 1.0f / 9;
  int64_t rpn_pre_nms_top_n_train = 2000, rpn_pre_nms_top_n_test = 1000;    // a level
  int64_t rpn_post_nms_top_n_train = 2000, rpn_post_nms_top_n_test = 1000;  // an image
  float rpn_nms_thresh = 0.7f;
  float rpn_score_thresh = 0;
  float rpn_min_size = 1e-3f;
  bool rpn_min_size_scaled = false;  // it is in pixels of the image before resizing

  // RoI pooling
  std::string box_pooling = "roi-align";  // roi-align or roi-pool
  int64_t box_pool_size = 7;
  int64_t box_sampling_ratio = 2;
  float box_canonical_size = 224;   // an RoI of this side ...
  int64_t box_canonical_level = 2;  // ... is pooled from this level, counted from the finest

  // head
  std::string box_head = "two-fc";   // two-fc, or layer4: that of the backbone on each RoI
  int64_t box_head_size = 1024;      // of two-fc
  std::string box_init = "uniform";  // of the outputs: PyTorch's, or normal, .01 for classes, .001 for boxes
  float box_dropout = 0;             // of two-fc, behind both layers
  bool box_class_agnostic = false;   // one box regression for all classes
  Levels bbox_reg_weights = {{10, 10, 5, 5}};  // of dx, dy, dw, dh in the head's targets
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
/// Sets the short side of resized images, and the long side in proportion. Anchors keep their size in pixels
/// of the network's input.
void set_short_side(ModelConfig& model, int64_t pixels);
/// "f32", "tf32" or "bf16" as a Context has it.
Precision parse_precision(std::string_view name);
/// Names of all models.
std::vector<std::string> model_names();
/// Pixels of the input per cell of each level that has anchors, finest first.
std::vector<int64_t> level_strides(const ModelConfig& config);

}  // namespace rcnn
