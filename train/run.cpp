#include "train/run.h"

#include "core/cuda/device.h"

namespace rcnn {
namespace {

Device choose_device(const RunOptions& options) {
  const cuda::DeviceChoice choice = cuda::choose_device(options.train.device);
  fmt::print("{}\n", choice.line);
  return choice.device;
}

}  // namespace

Run::Run(const RunOptions& o) : options(o), ctx(choose_device(o)) {
  ctx.precision = parse_precision(options.model.precision);
  ctx.seed = static_cast<uint64_t>(config.seed);
  ctx.kernels = options.kernels;
}

void train_run(const RunOptions& options) {
  check_mode(options.train);
  Run run(options);
  read_data(run);
  if (options.dry_run) return print_forecast(run);
  build_model(run);
  open_folder(run);
  train_loop(run);
  finish(run);
}

}  // namespace rcnn
