#include "train/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rcnn {

std::span<const Field<TrainConfig>> train_fields() {
  using C = TrainConfig;
  // clang-format off
  static const Field<C> fields[] = {
      text("data", &C::data, "folder of labelled images, or a COCO file"),
      text("train", &C::train, "training split; default: train, or a random part of data without splits"),
      text("val", &C::val, "validation split, or none; default: val, if the data has it"),
      text("test", &C::test, "test split, evaluated once at the end, or none; default: test, if the data has it"),
      number("val-share", &C::val_share, 0, 0.9, "share of data without splits that becomes the validation split"),
      text("weights", &C::weights, "initial weights: a detector or an ImageNet classifier"),
      flag("keep-classes", &C::keep_classes, "of a detector's class outputs, keep those of classes that the data has too"),
      choice("mode", &C::mode, "joint|rpn|fast-rcnn|alternating", "what to train: RPN and Fast R-CNN head together, one of the two, or both in turn in four steps"),
      flag("freeze-backbone", &C::freeze_backbone, "with --weights: train only the RPN and the head"),
      text("proposals", &C::proposals, "mode fast-rcnn: file of proposals on the training images, in COCO's results format"),
      text("val-proposals", &C::val_proposals, "mode fast-rcnn: file of proposals on the validation split"),
      text("test-proposals", &C::test_proposals, "mode fast-rcnn: file of proposals on the test split"),
      text("out", &C::out, "folder for checkpoints, metrics and the report"),
      text("device", &C::device, "where to compute: auto, cpu, cuda or cuda:N"),
      flag("cuda-graph", &C::cuda_graph, "on a GPU, record a training step once and replay it"),
      number("batch", &C::batch, 1, 4096, "images per batch"),
      number("accumulate", &C::accumulate, 1, 4096, "batches per step, whose gradients are averaged"),
      number("epochs", &C::epochs, 0, 1e6, "passes over the training images; 0: a number that suits how many there are"),
      number("steps", &C::steps, 0, 1e9, "number of training steps, instead of --epochs; 0: use --epochs"),
      number("minutes", &C::minutes, 0, 1e6, "minutes of training, instead of --epochs and --steps; such a run cannot be reproduced"),
      number("seed", &C::seed, 0, 9e15, "seed of all random numbers"),
      number("lr", &C::lr, 0, 100, "learning rate; 0: a rate that suits the model and the images per step"),
      choice("schedule", &C::schedule, "cosine|step|constant", "how the learning rate falls"),
      number("warmup", &C::warmup, 0, 1e6, "steps over which the learning rate rises linearly at the start"),
      number("warmup-factor", &C::warmup_factor, 0, 1, "share of the learning rate at which warm-up starts"),
      numbers("milestones", &C::milestones, 1e-6, 1e6, "schedule step: epochs at which the learning rate is multiplied by gamma"),
      number("gamma", &C::gamma, 0, 1, "schedule step: factor of the learning rate"),
      number("momentum", &C::momentum, 0, 0.9999, "momentum of SGD"),
      number("weight-decay", &C::weight_decay, 0, 1, "weight decay of SGD"),
      number("bias-lr-factor", &C::bias_lr_factor, 0, 100, "learning rate of biases, relative to that of weights"),
      number("clip-norm", &C::clip_norm, 0, 1e9, "gradients with a larger norm are scaled down to this norm; 0: no clipping"),
      number("ema", &C::ema, 0, 0.99999, "evaluate and keep a moving average of the weights with this decay; 0: the weights themselves"),
      flag("sync-bn", &C::sync_bn, "normalise with the batch statistics of all batches of a step, which are then in memory together"),
      flag("flip-horizontal", &C::flip_horizontal, "mirror half of the training images left to right, at random"),
      flag("flip-vertical", &C::flip_vertical, "mirror half of the training images top to bottom, at random"),
      number("scale-jitter", &C::scale_jitter, -1, 1, "enlarge or shrink training images at random, by a factor of up to 1 + this; -1: 0.25, or 0 for few epochs"),
      number("colour-jitter", &C::colour_jitter, -1, 0.9, "change brightness, contrast and saturation at random by up to this share; -1: 0.15, or 0 for few epochs"),
      number("crop", &C::crop, -1, 1, "probability that a training image is cropped to a random part; -1: 0.5, or 0 for few epochs"),
      number("mosaic", &C::mosaic, 0, 1, "probability that four training images are put together into one"),
      flag("group-by-aspect", &C::group_by_aspect, "put wide images and tall images into different batches, which need less padding"),
      flag("empty-images", &C::empty_images, "train on images without objects too, as background"),
      flag("rescale-boxes", &C::rescale_boxes, "scale the boxes of images that have another size than their annotations say"),
      choice("exif-boxes", &C::exif_boxes, "auto|seen|stored", "image on which boxes were drawn if its EXIF entry turns it: as seen, as stored, or as the sizes tell"),
      flag("allow-outside", &C::allow_outside, "read images that annotations name outside of the folder of the data"),
      number("workers", &C::workers, 0, 256, "threads that load images; the result does not depend on their number"),
      number("eval-every", &C::eval_every, 1, 1e6, "epochs between evaluations on the validation split"),
      number("checkpoint-every", &C::checkpoint_every, 1, 1e9, "steps between checkpoints"),
      number("log-every", &C::log_every, 1, 1e6, "steps between readings of the losses on a GPU, which make the host wait"),
  };
  // clang-format on
  return fields;
}

float learning_rate(const TrainConfig& config, int64_t step, int64_t steps, int64_t epoch_steps) {
  double factor = 1;
  if (config.schedule == "cosine") {
    factor = 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps)));
  } else if (config.schedule == "step") {
    check_input(config.milestones.size() == 1, "milestones: expected one list of epochs, found {}",
                config.milestones.size());
    const double epoch = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, epoch_steps));
    for (const float milestone : config.milestones.at(0))
      if (epoch >= static_cast<double>(milestone)) factor *= static_cast<double>(config.gamma);
  }
  const double warmup = static_cast<double>(config.warmup);
  if (static_cast<double>(step) < warmup) {
    const double start = static_cast<double>(config.warmup_factor);
    factor *= start + (1 - start) * static_cast<double>(step) / warmup;
  }
  return static_cast<float>(static_cast<double>(config.lr) * factor);
}

int64_t default_epochs(int64_t images, int64_t short_side) {
  // A small dataset needs many epochs for the detector to converge; a large one gets the usual twelve. Larger
  // images take longer and get fewer epochs, down to half as many.
  constexpr double kImagesSeen = 12000, kShortSide = 240;
  constexpr int64_t kMin = 12, kMax = 100;
  const double side = kShortSide / static_cast<double>(short_side);
  const auto seen = static_cast<int64_t>(kImagesSeen * std::clamp(side * side, 0.5, 1.0));
  return std::clamp((seen + images - 1) / std::max<int64_t>(images, 1), kMin, kMax);
}

float default_learning_rate(std::string_view model, int64_t images_per_step) {
  // The linear scaling rule (Goyal et al. 2017), with rates that trained well on small datasets: nano-fpn
  // from random weights on BCCD, and resnet18-c4 from ImageNet weights on 160 photographs (.0025 per image,
  // which is twice torchvision's .02 for 16; with that rate it had not converged).
  const double rate_per_image = model.starts_with("nano") ? 0.01 : 0.0025;
  return static_cast<float>(rate_per_image * static_cast<double>(images_per_step));
}

void settle_augmentation(TrainConfig& config, double epochs) {
  // Measured AP@.5 with and without augmentation: nano-fpn from random weights after 75 epochs on raccoons
  // .846 and .788; resnet18-c4 from ImageNet weights after 12 epochs .86 and .90, after 6 epochs .79 and .81.
  constexpr double kManyEpochs = 15;
  const bool many = epochs >= kManyEpochs;
  const auto settle = [many](float& setting, float suits) {
    if (setting < 0) setting = many ? suits : 0;
  };
  settle(config.scale_jitter, 0.25f);
  settle(config.colour_jitter, 0.15f);
  settle(config.crop, 0.5f);
}

}  // namespace rcnn
