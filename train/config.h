// How a run trains: the data, the optimiser, the schedule.
#pragma once

#include "core/config.h"

namespace rcnn {

struct TrainConfig {
  std::string data, out = "out/run";
  std::string train, val, test;
  float val_share = 0.2f;
  std::string weights;
  bool keep_classes = false;
  std::string mode = "joint";
  bool freeze_backbone = false;
  std::string proposals, val_proposals, test_proposals;
  std::string device = "auto";
  bool cuda_graph = false;

  int64_t batch = 4;
  int64_t accumulate = 1;
  int64_t epochs = 0;
  int64_t steps = 0;
  float minutes = 0;
  int64_t seed = 1;

  float lr = 0;
  std::string schedule = "cosine";
  float warmup = 50;
  float warmup_factor = 0.001f;
  Levels milestones = {{16, 22}};
  float gamma = 0.1f;
  float momentum = 0.9f;
  float weight_decay = 1e-4f;
  float bias_lr_factor = 1;
  float clip_norm = 5;
  float ema = 0;
  bool sync_bn = false;

  bool flip_horizontal = true, flip_vertical = false;
  float scale_jitter = -1, colour_jitter = -1, crop = -1;  // see settle_augmentation
  float mosaic = 0;
  bool group_by_aspect = true;
  bool empty_images = true;
  bool rescale_boxes = false;
  std::string exif_boxes = "auto";  // auto|seen|stored, see data/orientation.h
  bool allow_outside = false;       // see data/inside.h
  int64_t workers = 2;
  int64_t eval_every = 1;
  int64_t checkpoint_every = 200;
  int64_t log_every = 10;
};

std::span<const Field<TrainConfig>> train_fields();

/// The learning rate of a step in [0, steps): the schedule, multiplied by the warm-up. `epoch_steps` steps
/// make an epoch.
float learning_rate(const TrainConfig& config, int64_t step, int64_t steps, int64_t epoch_steps);

/// The number of epochs that suits this many images of this size, for a setting that is left at 0.
int64_t default_epochs(int64_t images, int64_t short_side);
/// The learning rate that suits this model and this many images per step, for a setting that is left at 0.
float default_learning_rate(std::string_view model, int64_t images_per_step);

/// Sets those of crop, scale-jitter and colour-jitter that are left at -1 to values that suit this many
/// epochs: 0 for few epochs, in which a detector does not even learn the unchanged images.
void settle_augmentation(TrainConfig& config, double epochs);

}  // namespace rcnn
