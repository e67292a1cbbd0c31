#include "train/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rcnn {

std::span<const Field<TrainConfig>> train_fields() {
  using C = TrainConfig;
  // clang-format off
  static const Field<C> fields[] = {
      {"data", &C::data, 0, 0, "the data: a Pascal VOC folder (JPEGImages, Annotations, ImageSets/Main)"},
      {"train", &C::train, 0, 0, "the split to train on"},
      {"val", &C::val, 0, 0, "the split to watch during training; none when empty"},
      {"test", &C::test, 0, 0, "the split to evaluate once, at the end; --val when empty"},
      {"weights", &C::weights, 0, 0, "start from this safetensors file instead of random values"},
      {"out", &C::out, 0, 0, "the folder for checkpoints, metrics and the report"},
      {"device", &C::device, 0, 0, "where to compute: auto, cpu, cuda or cuda:N"},
      {"cuda-graph", &C::cuda_graph, 0, 0, "on a GPU, record a training step once and replay it"},
      {"batch", &C::batch, 1, 4096, "images a step"},
      {"epochs", &C::epochs, 1, 1e6, "passes over the training images"},
      {"steps", &C::steps, 0, 1e9, "steps to train, instead of --epochs; 0: by epochs"},
      {"seed", &C::seed, 0, 9e15, "of everything random: initial values, order, flips, sampling"},
      {"lr", &C::lr, 0, 100, "learning rate"},
      {"schedule", &C::schedule, 0, 0, "how the learning rate falls", "cosine|step|constant"},
      {"warmup", &C::warmup, 0, 1e6, "steps over which the learning rate rises linearly at the start"},
      {"warmup-factor", &C::warmup_factor, 0, 1, "the share of the learning rate that warm-up starts from"},
      {"milestones", &C::milestones, 0, 0, "schedule 'step': the epochs at which the rate is multiplied by gamma"},
      {"gamma", &C::gamma, 0, 1, "schedule 'step': the factor"},
      {"momentum", &C::momentum, 0, 0.9999, "SGD's momentum"},
      {"weight-decay", &C::weight_decay, 0, 1, "SGD's weight decay"},
      {"clip-norm", &C::clip_norm, 0, 1e9, "gradients are scaled down to this norm; 0: never"},
      {"flip-horizontal", &C::flip_horizontal, 0, 0, "mirror every other training image left to right"},
      {"flip-vertical", &C::flip_vertical, 0, 0, "mirror every other training image top to bottom"},
      {"workers", &C::workers, 0, 256, "threads that load images; the result does not depend on it"},
      {"eval-every", &C::eval_every, 1, 1e6, "epochs between evaluations on --val"},
      {"checkpoint-every", &C::checkpoint_every, 1, 1e9, "steps between checkpoints"},
      {"log-every", &C::log_every, 1, 1e6, "steps between looks at the losses"},
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
    const double epoch = static_cast<double>(step / std::max<int64_t>(1, epoch_steps));
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

}  // namespace rcnn
