#include "train/trainer.h"

#include "train/alternating.h"
#include "train/run.h"

namespace rcnn {

void train_detector(const RunOptions& options) {
  if (options.train.mode == "alternating")
    train_alternating(options);
  else
    train_run(options);
}

}  // namespace rcnn
