#include "models/config.h"

#include <algorithm>

namespace rcnn {

std::span<const Field<ModelConfig>> model_fields() {
  using C = ModelConfig;
  // clang-format off
  static const Field<C> fields[] = {
      text("model", &C::backbone, "the detector: a backbone with its pyramid and head"),
      choice("profile", &C::profile, "torchvision|caffe2015", "conventions to follow: torchvision's, or those of py-faster-rcnn (2015)"),
      choice("precision", &C::precision, "f32|tf32|bf16", "precision of convolutions and matrix products on a GPU; sums are f32"),
      choice("norm", &C::norm, "batch|frozen|folded|group", "normalisation in the backbone: trained batch normalisation, its fixed statistics, the same folded into the weights, or group normalisation"),
      number("norm-eps", &C::norm_eps, 0, 1, "value that normalisation adds to the variance; 0 for torchvision's COCO_V1 weights"),
      number("frozen-stages", &C::frozen_stages, 0, 5, "stages of the backbone that keep the values of --weights: 1 the stem, 2 also layer1, ..."),
      number("short-side", &C::short_side, 16, 8192, "short side of images after resizing, in pixels; larger if the data needs it"),
      number("long-side", &C::long_side, 16, 16384, "maximum long side of images after resizing; grows with the short side unless given"),
      number("size-divisible", &C::size_divisible, 1, 256, "batches are padded to a multiple of this number of pixels"),
      choice("channel-order", &C::channel_order, "rgb|bgr", "order of the network's input channels"),
      number("pixel-range", &C::pixel_range, 1e-6, 1e6, "value of a byte of 255 before image-mean is subtracted"),
      numbers("image-mean", &C::image_mean, 0, 1e6, "subtracted from the three channels, in the order of channel-order"),
      numbers("image-std", &C::image_std, 1e-6, 1e6, "the three channels are divided by this"),
      choice("size-rounding", &C::size_rounding, "floor|nearest", "how the sides of a resized image are rounded"),
      flag("whole-pixels", &C::whole_pixels, "boxes end at whole pixels: their width is x2 - x1 + 1"),
      flag("limit-log-scale", &C::limit_log_scale, "limit a decoded box to 1000 / 16 times the size of its anchor or proposal"),
      numbers("anchor-sizes", &C::anchor_sizes, 1e-6, 1e6, "anchor sizes in pixels after resizing, ';' between levels; follow from the data unless given, instead of"),
      numbers("anchor-ratios", &C::anchor_ratios, 1e-6, 1e6, "anchor shapes, height / width; one list for all levels"),
      choice("anchor-cells", &C::anchor_cells, "torchvision|caffe2015", "whose rounding of anchors to follow"),
      choice("rpn-scores", &C::rpn_scores, "sigmoid|softmax", "objectness: the sigmoid of one logit, or the softmax of two"),
      flag("rpn-inside-only", &C::rpn_inside_only, "do not train on anchors that cross the border of the image"),
      number("rpn-fg-iou-thresh", &C::rpn_fg_iou_thresh, 0, 1, "an anchor with at least this IoU with an object is positive"),
      number("rpn-bg-iou-thresh", &C::rpn_bg_iou_thresh, 0, 1, "an anchor with a lower IoU with every object is negative"),
      number("rpn-batch-size-per-image", &C::rpn_batch_size_per_image, 1, 1 << 20, "anchors per image that are sampled for the RPN's loss"),
      number("rpn-positive-fraction", &C::rpn_positive_fraction, 0, 1, "maximum share of positive ones among them"),
      number("rpn-smooth-l1-beta", &C::rpn_smooth_l1_beta, 0, 100, "difference at which the RPN's box loss turns from square to linear"),
      number("rpn-pre-nms-top-n-train", &C::rpn_pre_nms_top_n_train, 1, 1 << 20, "proposals per level before non-maximum suppression, in training"),
      number("rpn-pre-nms-top-n-test", &C::rpn_pre_nms_top_n_test, 1, 1 << 20, "proposals per level before non-maximum suppression, in detection"),
      number("rpn-post-nms-top-n-train", &C::rpn_post_nms_top_n_train, 1, 1 << 20, "proposals per image after non-maximum suppression, in training"),
      number("rpn-post-nms-top-n-test", &C::rpn_post_nms_top_n_test, 1, 1 << 20, "proposals per image after non-maximum suppression, in detection"),
      number("rpn-nms-thresh", &C::rpn_nms_thresh, 0, 1, "proposals with a larger IoU with a better one are dropped"),
      number("rpn-score-thresh", &C::rpn_score_thresh, 0, 1, "proposals with a lower score are dropped"),
      number("rpn-min-size", &C::rpn_min_size, 0, 1e6, "minimum side of a proposal, in pixels"),
      flag("rpn-min-size-scaled", &C::rpn_min_size_scaled, "rpn-min-size is in pixels of the image before resizing"),
      choice("box-pooling", &C::box_pooling, "roi-align|roi-pool", "how the features of a RoI become bins"),
      number("box-pool-size", &C::box_pool_size, 1, 64, "bins per side of a RoI's pooled features"),
      number("box-sampling-ratio", &C::box_sampling_ratio, 0, 64, "sampling points per side of a bin; 0: as many as it has pixels"),
      number("box-canonical-size", &C::box_canonical_size, 1, 1e6, "a RoI of this side is pooled from the canonical level"),
      number("box-canonical-level", &C::box_canonical_level, 0, 5, "the canonical level, counted from the finest, 0"),
      choice("box-head", &C::box_head, "two-fc|layer4", "head for each RoI: two fully connected layers, or the backbone's layer4"),
      number("box-head-size", &C::box_head_size, 1, 1 << 16, "width of the head's two fully connected layers"),
      choice("box-init", &C::box_init, "uniform|normal", "initial values of the outputs: PyTorch's uniform, or normal (.01 for classes, .001 for boxes)"),
      number("box-dropout", &C::box_dropout, 0, 0.99, "dropout rate of the head's two fully connected layers"),
      flag("box-class-agnostic", &C::box_class_agnostic, "one box regression for all classes, instead of one per class"),
      numbers("bbox-reg-weights", &C::bbox_reg_weights, 1e-6, 1e6, "weights of dx, dy, dw and dh in the head's box deltas"),
      number("box-batch-size-per-image", &C::box_batch_size_per_image, 1, 1 << 20, "RoIs per image that are sampled for the head's loss"),
      number("box-positive-fraction", &C::box_positive_fraction, 0, 1, "maximum share of foreground ones among them"),
      number("box-fg-iou-thresh", &C::box_fg_iou_thresh, 0, 1, "a RoI with at least this IoU with an object is foreground"),
      number("box-bg-iou-thresh", &C::box_bg_iou_thresh, 0, 1, "a RoI with a lower IoU with every object is background"),
      number("box-smooth-l1-beta", &C::box_smooth_l1_beta, 0, 100, "difference at which the head's box loss turns from square to linear"),
      number("box-score-thresh", &C::box_score_thresh, 0, 1, "confidence threshold: detections with a lower score are dropped"),
      number("box-nms-thresh", &C::box_nms_thresh, 0, 1, "detections with a larger IoU with a better one of their class are dropped"),
      number("box-detections-per-img", &C::box_detections_per_img, 1, 1 << 16, "maximum number of detections per image"),
      number("box-min-size", &C::box_min_size, 0, 1e6, "minimum side of a detection, in pixels"),
  };
  // clang-format on
  return fields;
}

void set_short_side(ModelConfig& model, int64_t pixels) {
  model.long_side = std::max(pixels, model.long_side * pixels / model.short_side);
  model.short_side = pixels;
}

Precision parse_precision(std::string_view name) {
  check_choice("precision", name, "f32|tf32|bf16");
  return name == "tf32" ? Precision::tf32 : name == "bf16" ? Precision::bf16 : Precision::f32;
}

const std::vector<float>& anchor_ratios(const ModelConfig& config) {
  check_input(config.anchor_ratios.size() == 1, "anchor-ratios: expected one list for all levels, found {}",
              config.anchor_ratios.size());
  return config.anchor_ratios[0];
}

}  // namespace rcnn
