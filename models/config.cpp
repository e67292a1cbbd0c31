#include "models/config.h"

#include <algorithm>

namespace rcnn {

std::span<const Field<ModelConfig>> model_fields() {
  using C = ModelConfig;
  // clang-format off
  static const Field<C> fields[] = {
      {"model", &C::backbone, 0, 0, "which detector: a backbone with its pyramid and head"},
      {"profile", &C::profile, 0, 0, "whose conventions: torchvision's, or py-faster-rcnn's of 2015", "torchvision|caffe2015"},
      {"precision", &C::precision, 0, 0, "of convolutions and matrix products, on a GPU; sums are f32", "f32|tf32|bf16"},
      {"norm", &C::norm, 0, 0, "batch normalisation: trained, by its running statistics, or part of the weights; or of groups", "batch|frozen|folded|group"},
      {"norm-eps", &C::norm_eps, 0, 1, "what normalisation adds to the variance; 0 for torchvision's COCO_V1 weights"},
      {"frozen-stages", &C::frozen_stages, 0, 5, "stages of the backbone that --weights sets for good: 1 the stem, 2 and layer1, ..."},
      {"short-side", &C::short_side, 16, 8192, "short side of images after resizing, pixels; larger where the data needs it"},
      {"long-side", &C::long_side, 16, 16384, "most pixels of their long side; grows with the short side where not given"},
      {"size-divisible", &C::size_divisible, 1, 256, "batches are padded to a multiple of this many pixels"},
      {"channel-order", &C::channel_order, 0, 0, "order of the network's input channels", "rgb|bgr"},
      {"pixel-range", &C::pixel_range, 1e-6, 1e6, "what a byte of 255 becomes before image-mean is taken off"},
      {"image-mean", &C::image_mean, 0, 1e6, "of the three channels, taken off, in the order of channel-order"},
      {"image-std", &C::image_std, 1e-6, 1e6, "of the three channels, divided by"},
      {"size-rounding", &C::size_rounding, 0, 0, "how the sides of a resized image are rounded", "floor|nearest"},
      {"whole-pixels", &C::whole_pixels, 0, 0, "boxes end at whole pixels: widths are x2 - x1 + 1"},
      {"limit-log-scale", &C::limit_log_scale, 0, 0, "a decoded box is at most 1000 / 16 times as large as what it comes from"},
      {"anchor-sizes", &C::anchor_sizes, 1e-6, 1e6, "pixels after resizing, ';' between levels; where not given, the data's instead of"},
      {"anchor-ratios", &C::anchor_ratios, 1e-6, 1e6, "anchor shapes, height / width; one list for all levels"},
      {"anchor-cells", &C::anchor_cells, 0, 0, "whose rounding of anchors", "torchvision|caffe2015"},
      {"rpn-scores", &C::rpn_scores, 0, 0, "objectness: the sigmoid of one logit, or the softmax of two", "sigmoid|softmax"},
      {"rpn-inside-only", &C::rpn_inside_only, 0, 0, "anchors that reach across the image's border do not train"},
      {"rpn-fg-iou-thresh", &C::rpn_fg_iou_thresh, 0, 1, "an anchor that overlaps an object this much is positive"},
      {"rpn-bg-iou-thresh", &C::rpn_bg_iou_thresh, 0, 1, "an anchor that overlaps every object less is negative"},
      {"rpn-batch-size-per-image", &C::rpn_batch_size_per_image, 1, 1 << 20, "anchors sampled for the RPN's loss"},
      {"rpn-positive-fraction", &C::rpn_positive_fraction, 0, 1, "share of them that may be positive"},
      {"rpn-smooth-l1-beta", &C::rpn_smooth_l1_beta, 0, 100, "where the RPN's box loss turns from square to linear"},
      {"rpn-pre-nms-top-n-train", &C::rpn_pre_nms_top_n_train, 1, 1 << 20, "proposals a level before NMS, training"},
      {"rpn-pre-nms-top-n-test", &C::rpn_pre_nms_top_n_test, 1, 1 << 20, "proposals a level before NMS, detection"},
      {"rpn-post-nms-top-n-train", &C::rpn_post_nms_top_n_train, 1, 1 << 20, "proposals an image after NMS, training"},
      {"rpn-post-nms-top-n-test", &C::rpn_post_nms_top_n_test, 1, 1 << 20, "proposals an image after NMS, detection"},
      {"rpn-nms-thresh", &C::rpn_nms_thresh, 0, 1, "proposals that overlap a better one more than this are dropped"},
      {"rpn-score-thresh", &C::rpn_score_thresh, 0, 1, "proposals with a lower score are dropped"},
      {"rpn-min-size", &C::rpn_min_size, 0, 1e6, "shortest side of a proposal, pixels"},
      {"rpn-min-size-scaled", &C::rpn_min_size_scaled, 0, 0, "these are pixels of the image before resizing"},
      {"box-pooling", &C::box_pooling, 0, 0, "how the map under an RoI becomes bins", "roi-align|roi-pool"},
      {"box-pool-size", &C::box_pool_size, 1, 64, "bins a side of the pooled map of an RoI"},
      {"box-sampling-ratio", &C::box_sampling_ratio, 0, 64, "sampling points a side of a bin; 0: as many as it has pixels"},
      {"box-canonical-size", &C::box_canonical_size, 1, 1e6, "an RoI of this side is pooled from the canonical level"},
      {"box-canonical-level", &C::box_canonical_level, 0, 5, "that level, counted from the finest, 0"},
      {"box-head", &C::box_head, 0, 0, "what each RoI goes through: two fully connected layers or the backbone's layer4", "two-fc|layer4"},
      {"box-head-size", &C::box_head_size, 1, 1 << 16, "width of the head's two fully connected layers"},
      {"box-init", &C::box_init, 0, 0, "first values of the outputs: PyTorch's uniform, or normal (.01 classes, .001 boxes)", "uniform|normal"},
      {"box-dropout", &C::box_dropout, 0, 0.99, "share of their outputs that training drops"},
      {"box-class-agnostic", &C::box_class_agnostic, 0, 0, "one box regression for all classes, instead of one each"},
      {"bbox-reg-weights", &C::bbox_reg_weights, 1e-6, 1e6, "of dx, dy, dw and dh in the head's box coding"},
      {"box-batch-size-per-image", &C::box_batch_size_per_image, 1, 1 << 20, "RoIs sampled for the head's loss"},
      {"box-positive-fraction", &C::box_positive_fraction, 0, 1, "share of them that may be foreground"},
      {"box-fg-iou-thresh", &C::box_fg_iou_thresh, 0, 1, "an RoI that overlaps an object this much is foreground"},
      {"box-bg-iou-thresh", &C::box_bg_iou_thresh, 0, 1, "an RoI that overlaps every object less is background"},
      {"box-smooth-l1-beta", &C::box_smooth_l1_beta, 0, 100, "where the head's box loss turns from square to linear"},
      {"box-score-thresh", &C::box_score_thresh, 0, 1, "detections with a lower score are dropped"},
      {"box-nms-thresh", &C::box_nms_thresh, 0, 1, "detections of a class that overlap a better one more are dropped"},
      {"box-detections-per-img", &C::box_detections_per_img, 1, 1 << 16, "most detections an image"},
      {"box-min-size", &C::box_min_size, 0, 1e6, "shortest side of a detection, pixels"},
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

}  // namespace rcnn
