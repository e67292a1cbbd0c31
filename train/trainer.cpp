#include "train/trainer.h"

#include "core/log.h"
#include "train/alternating.h"
#include "train/interrupt.h"
#include "train/learning_series.h"
#include "train/run.h"

namespace rcnn {

void train_detector(const RunOptions& options) {
  check_explained_image(options);
  if (options.train.mode == "alternating")
    train_alternating(options);
  else
    train_run(options);
  if (InterruptGuard::signal() != 0)
    print_log("the signal came when only the results were left to write; the run is complete\n");
}

}  // namespace rcnn
