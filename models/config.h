// The configuration of a Faster R-CNN: its parts, and how it samples, decodes and suppresses boxes. It is all
// that is needed to rebuild a model from a checkpoint. Names and defaults are torchvision's.
#pragma once

#include "core/config.h"
#include "core/context.h"

namespace rcnn {

struct ModelConfig {
  std::string backbone = "nano-fpn";
  std::string profile = "torchvision";  // the conventions that the settings start from: see train/profile.h

  std::string precision = "f32";  // of convolutions and matrix products: f32, tf32 or bf16

  /// Normalisation in the backbone: `batch` is batch normalisation and trained, `frozen` keeps its weights
  /// and running statistics, `folded` makes it part of the weights and biases of the convolutions, `group` is
  /// group normalisation. See models/blocks.h.
  std::string norm = "batch";
  float norm_eps = 1e-5f;  // added to the variance; 0 for torchvision's COCO_V1 weights
  /// The number of stages of the backbone that are not trained when a run starts from weights: 0 none, 1 the
  /// stem, 2 the stem and layer1, and so on. Random values are never frozen. See freeze_stages.
  int64_t frozen_stages = 0;

  // input
  int64_t short_side = 800, long_side = 1333;  // pixels after resizing
  int64_t size_divisible = 32;                 // batches are padded to a multiple of this
  std::string channel_order = "rgb";           // rgb or bgr, also of image_mean and image_std
  float pixel_range = 1;                       // the value of a byte of 255 before the mean is subtracted
  std::string size_rounding = "floor";         // of resized sides: floor, or nearest as in caffe2015
  Levels image_mean = {{0.485f, 0.456f, 0.406f}}, image_std = {{0.229f, 0.224f, 0.225f}};  // ImageNet's

  /// Corners are whole pixels: a box's width is x2 - x1 + 1, and the right edge of an image is at its width
  /// - 1.
  bool whole_pixels = false;
  bool limit_log_scale = true;  // of a decoded box: at most 1000 / 16 times its anchor or proposal

  // anchors: sizes in pixels, one list per level; every size is combined with every ratio (height / width)
  Levels anchor_sizes = {{32}, {64}, {128}, {256}, {512}};
  Levels anchor_ratios = {{0.5f, 1.0f, 2.0f}};
  std::string anchor_cells = "torchvision";  // how they are rounded: torchvision or caffe2015

  // region proposal network
  std::string rpn_scores = "sigmoid";  // of one logit per anchor, or the softmax of two
  bool rpn_inside_only = false;        // do not train on anchors that cross the border of the image
  float rpn_fg_iou_thresh = 0.7f, rpn_bg_iou_thresh = 0.3f;
  int64_t rpn_batch_size_per_image = 256;
  float rpn_positive_fraction = 0.5f;
  float rpn_smooth_l1_beta = 1.0f / 9;
  int64_t rpn_pre_nms_top_n_train = 2000, rpn_pre_nms_top_n_test = 1000;    // per level
  int64_t rpn_post_nms_top_n_train = 2000, rpn_post_nms_top_n_test = 1000;  // per image
  float rpn_nms_thresh = 0.7f;
  float rpn_score_thresh = 0;
  float rpn_min_size = 1e-3f;
  bool rpn_min_size_scaled = false;  // rpn_min_size is in pixels of the image before resizing

  // RoI pooling
  std::string box_pooling = "roi-align";  // roi-align or roi-pool
  int64_t box_pool_size = 7;
  int64_t box_sampling_ratio = 2;
  float box_canonical_size = 224;   // a RoI of this side ...
  int64_t box_canonical_level = 2;  // ... is pooled from this level, counted from the finest

  // head
  std::string box_head = "two-fc";   // two-fc, or layer4: that of the backbone, on each RoI
  int64_t box_head_size = 1024;      // width of two-fc
  std::string box_init = "uniform";  // of the outputs: PyTorch's, or normal: .01 for classes, .001 for boxes
  float box_dropout = 0;             // of two-fc, after both layers
  bool box_class_agnostic = false;   // one box regression for all classes
  Levels bbox_reg_weights = {{10, 10, 5, 5}};  // of dx, dy, dw, dh in the head's box deltas
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

/// The configuration of the model of this name. Throws InputError listing all names when there is none.
ModelConfig model_config(std::string_view name);
/// Sets the short side of resized images, and the long side in proportion. Anchors keep their size in pixels
/// of the network's input.
void set_short_side(ModelConfig& model, int64_t pixels);
/// The precision called "f32", "tf32" or "bf16".
Precision parse_precision(std::string_view name);
/// Names of all models.
std::vector<std::string> model_names();
/// The ratios of the anchors, which all levels share. Throws InputError unless there is exactly one list.
const std::vector<float>& anchor_ratios(const ModelConfig& config);
/// Pixels of the input per cell of each level that has anchors, finest first.
std::vector<int64_t> level_strides(const ModelConfig& config);

}  // namespace rcnn
