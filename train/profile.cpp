#include "train/profile.h"

#include "models/config.h"

namespace rcnn {

Settings profile_settings(std::string_view profile, std::string_view model) {
  check_choice("profile", profile, "torchvision|caffe2015");
  if (profile == "torchvision") return {};
  Settings settings = {
      {"profile", "caffe2015"},
      // Input: bytes minus Caffe's means of ImageNet, blue first
      {"channel-order", "bgr"},
      {"pixel-range", "255"},
      {"image-mean", "102.9801,115.9465,122.7717"},
      {"image-std", "1,1,1"},
      {"size-rounding", "nearest"},
      {"short-side", "600"},
      {"long-side", "1000"},
      {"size-divisible", "1"},
      // Boxes
      {"whole-pixels", "true"},
      {"limit-log-scale", "false"},
      // Region proposal network
      {"rpn-scores", "softmax"},
      {"rpn-inside-only", "true"},
      {"rpn-min-size", "16"},
      {"rpn-min-size-scaled", "true"},
      {"rpn-fg-iou-thresh", "0.7"},
      {"rpn-bg-iou-thresh", "0.3"},
      {"rpn-batch-size-per-image", "256"},
      {"rpn-positive-fraction", "0.5"},
      {"rpn-smooth-l1-beta", "0.11111111"},
      {"rpn-pre-nms-top-n-train", "12000"},
      {"rpn-pre-nms-top-n-test", "6000"},
      {"rpn-post-nms-top-n-train", "2000"},
      {"rpn-post-nms-top-n-test", "300"},
      {"rpn-nms-thresh", "0.7"},
      // Head
      {"box-pooling", "roi-pool"},
      {"box-init", "normal"},
      {"bbox-reg-weights", "10,10,5,5"},  // from standard deviations of .1 .1 .2 .2
      {"box-batch-size-per-image", "128"},
      {"box-positive-fraction", "0.25"},
      {"box-smooth-l1-beta", "1"},
      {"box-nms-thresh", "0.3"},
      {"box-min-size", "0"},
      // Training: 70,000 steps of two images on VOC 2007, with a tenth of the learning rate after 50,000
      {"batch", "1"},
      {"accumulate", "2"},
      {"lr", "0.001"},
      {"bias-lr-factor", "2"},
      {"weight-decay", "0.0005"},
      {"schedule", "step"},
      {"epochs", "28"},
      {"milestones", "20"},
      {"warmup", "0"},
      {"clip-norm", "0"},
      {"scale-jitter", "0"},
      {"colour-jitter", "0"},
      {"crop", "0"},
      {"empty-images", "false"},
  };
  if (level_strides(model_config(model)).size() == 1) {
    settings.emplace_back("anchor-cells", "caffe2015");
    settings.emplace_back("anchor-sizes", "128,256,512");
  }
  return settings;
}

}  // namespace rcnn
