#include "train/run.h"

namespace rcnn {

Run::Run(const RunOptions& o) : Run(o, cuda::choose_device(o.train.device)) {}

Run::Run(const RunOptions& o, const cuda::DeviceChoice& choice)
    : options(o), device_line(choice.line), ctx(choice.device) {
  ctx.precision = parse_precision(options.model.precision);
  ctx.seed = static_cast<uint64_t>(config.seed);
  ctx.kernels = options.kernels;
}

std::optional<FolderLock> train_run(const RunOptions& options, WholeRun* whole) {
  check_mode(options.train);
  Run run(options);
  run.whole = whole;
  // The last part trains in the folder of the whole run.
  if (whole && whole->lock && run.out.lexically_normal() == whole->folder)
    run.lock.emplace(std::move(*whole->lock));
  read_data(run);
  if (options.dry_run) {
    print_forecast(run);
    return std::nullopt;
  }
  build_model(run);
  open_folder(run);
  train_loop(run);
  finish(run);
  return std::move(run.lock);
}

}  // namespace rcnn
