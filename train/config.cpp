#include "train/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rcnn {

std::span<const Field<TrainConfig>> train_fields() {
  using C = TrainConfig;
  // clang-format off
  static const Field<C> fields[] = {
      text("data", &C::data, "a folder of labelled images, or a COCO file"),
      text("train", &C::train, "the split to train on; else train, or a random part of unsplit data"),
      text("val", &C::val, "the split to watch during training, or none; else val, where there is one"),
      text("test", &C::test, "the split to evaluate once, at the end, or none; else test, where there is one"),
      number("val-share", &C::val_share, 0, 0.9, "the share of unsplit data that is set aside for watching"),
      text("weights", &C::weights, "start from this file: a detector, or an ImageNet classifier"),
      flag("keep-classes", &C::keep_classes, "of a detector's class outputs, keep those whose names the data has too"),
      choice("mode", &C::mode, "joint|rpn|fast-rcnn|alternating", "what is trained: RPN and Fast R-CNN head together, one of them, or in turn, in four steps"),
      flag("freeze-backbone", &C::freeze_backbone, "with --weights: train RPN and head alone"),
      text("proposals", &C::proposals, "mode fast-rcnn: where to look on the training images, in COCO's results form"),
      text("val-proposals", &C::val_proposals, "mode fast-rcnn: the same of the split that is watched"),
      text("test-proposals", &C::test_proposals, "mode fast-rcnn: the same of the split that is judged"),
      text("out", &C::out, "the folder for checkpoints, metrics and the report"),
      text("device", &C::device, "where to compute: auto, cpu, cuda or cuda:N"),
      flag("cuda-graph", &C::cuda_graph, "on a GPU, record a training step once and replay it"),
      number("batch", &C::batch, 1, 4096, "images a step"),
      number("accumulate", &C::accumulate, 1, 4096, "batches whose gradients are averaged into one step"),
      number("epochs", &C::epochs, 0, 1e6, "passes over the images; 0: as many as suit their number"),
      number("steps", &C::steps, 0, 1e9, "steps to train, instead of --epochs; 0: by epochs"),
      number("minutes", &C::minutes, 0, 1e6, "minutes of training, instead of --epochs and --steps; then no two runs are alike"),
      number("seed", &C::seed, 0, 9e15, "of everything random"),
      number("lr", &C::lr, 0, 100, "learning rate; 0: what suits the model and the images a step"),
      choice("schedule", &C::schedule, "cosine|step|constant", "how the learning rate falls"),
      number("warmup", &C::warmup, 0, 1e6, "steps over which the learning rate rises linearly at the start"),
      number("warmup-factor", &C::warmup_factor, 0, 1, "the share of the learning rate that warm-up starts from"),
      numbers("milestones", &C::milestones, 1e-6, 1e6, "schedule 'step': the epochs at which the rate is multiplied by gamma"),
      number("gamma", &C::gamma, 0, 1, "schedule 'step': the factor"),
      number("momentum", &C::momentum, 0, 0.9999, "SGD's momentum"),
      number("weight-decay", &C::weight_decay, 0, 1, "SGD's weight decay"),
      number("bias-lr-factor", &C::bias_lr_factor, 0, 100, "the learning rate of biases is that of weights times this"),
      number("clip-norm", &C::clip_norm, 0, 1e9, "gradients are scaled down to this norm; 0: never"),
      number("ema", &C::ema, 0, 0.99999, "evaluate and keep a moving average of the weights with this decay; 0: the weights"),
      flag("flip-horizontal", &C::flip_horizontal, "mirror every other training image left to right"),
      flag("flip-vertical", &C::flip_vertical, "mirror every other training image top to bottom"),
      number("scale-jitter", &C::scale_jitter, -1, 1, "enlarge or shrink training images at random, by up to 1 + this; -1: 0.25, or 0 in few epochs"),
      number("colour-jitter", &C::colour_jitter, -1, 0.9, "change brightness, contrast and saturation at random by this share; -1: 0.15, or 0 in few epochs"),
      number("crop", &C::crop, -1, 1, "how often only a random part of a training image is shown; -1: 0.5, or 0 in few epochs"),
      number("mosaic", &C::mosaic, 0, 1, "how often four training images are put together into one"),
      flag("group-by-aspect", &C::group_by_aspect, "batches of wide or of tall images, which need less padding"),
      flag("empty-images", &C::empty_images, "images without objects train too, as background"),
      number("workers", &C::workers, 0, 256, "threads that load images; the result does not depend on it"),
      number("eval-every", &C::eval_every, 1, 1e6, "epochs between evaluations on --val"),
      number("checkpoint-every", &C::checkpoint_every, 1, 1e9, "steps between checkpoints"),
      number("log-every", &C::log_every, 1, 1e6, "steps between looks at the losses"),
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
  // Small sets need many passes, or the detector has not converged; large ones get the usual twelve. Larger
  // images take longer and get fewer, down to half.
  constexpr double kImagesSeen = 12000, kShortSide = 240;
  constexpr int64_t kMin = 12, kMax = 100;
  const double side = kShortSide / static_cast<double>(short_side);
  const auto seen = static_cast<int64_t>(kImagesSeen * std::clamp(side * side, 0.5, 1.0));
  return std::clamp((seen + images - 1) / std::max<int64_t>(images, 1), kMin, kMax);
}

float default_learning_rate(std::string_view model, int64_t images_a_step) {
  // The linear scaling rule (Goyal et al. 2017), with what trained well on small sets: nano-fpn whole from
  // random values on BCCD, resnet18-c4 from ImageNet weights on 160 photographs (.0025 an image, twice
  // torchvision's .02 for 16, which it had not converged with).
  const double an_image = model.starts_with("nano") ? 0.01 : 0.0025;
  return static_cast<float>(an_image * static_cast<double>(images_a_step));
}

void settle_augmentation(TrainConfig& config, double passes) {
  // Measured (AP@.5, with and without): nano-fpn from random values, 75 passes, raccoons .846 and .788;
  // resnet18-c4 from ImageNet weights, 12 passes, .86 and .90; 6 passes, .79 and .81.
  constexpr double kPasses = 15;
  const bool many = passes >= kPasses;
  const auto settle = [many](float& setting, float suits) {
    if (setting < 0) setting = many ? suits : 0;
  };
  settle(config.scale_jitter, 0.25f);
  settle(config.colour_jitter, 0.15f);
  settle(config.crop, 0.5f);
}

}  // namespace rcnn
