#include "train/trainer.h"

#include "train/alternating.h"
#include "train/learning_series.h"
#include "train/run.h"

namespace rcnn {

void train_detector(const RunOptions& options) {
  check_explained_image(options);
  if (options.train.mode == "alternating")
    train_alternating(options);
  else
    train_run(options);
}

}  // namespace rcnn
