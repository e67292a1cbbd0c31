#include "train/run.h"

#include <algorithm>

#include "core/log.h"
#include "core/world/device.h"
#include "kernels/plans.h"
#include "train/interrupt.h"

namespace rcnn {

Run::Run(const RunOptions& o) : Run(o, choose_device(o.train.device, *o.world)) {}

Run::Run(const RunOptions& o, const cuda::DeviceChoice& choice)
    : options(o), device_line(choice.line), ctx(choice.device) {
  ctx.precision = parse_precision(options.model.precision);
  ctx.seed = static_cast<uint64_t>(config.seed);
  ctx.kernels = options.kernels;
  if (options.plans) kernels::use_plans(ctx, *options.plans);
}

void WholeRun::add_undecodable(const std::vector<Fault>& found) {
  for (const Fault& fault : found)
    if (fault.kind == FaultKind::undecodable &&
        std::none_of(undecodable.begin(), undecodable.end(),
                     [&](const Fault& known) { return known.file == fault.file; }))
      undecodable.push_back(fault);
}

namespace {

/// Every process needs a batch in every step.
void check_ranks(const RunOptions& options) {
  const int ranks = options.world->size();
  check_input(
      ranks <= options.train.accumulate,
      "{} processes train together, but a step has only {} batch{}: start at most so many processes, or "
      "give each of them a batch with --accumulate {}",
      ranks, options.train.accumulate, options.train.accumulate == 1 ? "" : "es", ranks);
}

/// One line that says which processes train, if there are several.
void print_ranks(const Run& run) {
  std::string text;
  const std::string mine = run.world.name_of(run.world.rank()) + " on " + run.ctx.device.str();
  for (const Bytes& name : run.world.all_gather(std::as_bytes(std::span(mine))))
    text += (text.empty() ? "" : ", ") + std::string(reinterpret_cast<const char*>(name.data()), name.size());
  if (run.world.size() > 1)
    print_log("{} processes share the {} batches of each step: {}\n", run.world.size(), run.config.accumulate,
              text);
}

/// Lets the GPUs of several processes exchange gradients without the host, where they can.
void link_ranks(Run& run) {
  if (const std::string line = link_gpus(run.world, run.ctx.device); !line.empty()) print_log("{}\n", line);
}

}  // namespace

std::optional<FolderLock> train_run(const RunOptions& options, WholeRun* whole) {
  check_mode(options.train);
  check_ranks(options);
  Run run(options);
  run.whole = whole;
  // The last part trains in the folder of the whole run.
  if (whole && whole->lock && run.out.lexically_normal() == whole->folder)
    run.lock.emplace(std::move(*whole->lock));
  read_data(run);
  print_ranks(run);
  if (options.dry_run) {
    if (run.world.is_first()) print_forecast(run);
    return std::nullopt;
  }
  link_ranks(run);
  build_model(run);
  open_folder(run);
  check_agreement(run);
  const InterruptGuard guard;
  train_loop(run);
  if (whole) {
    whole->add_undecodable(run.faults);
    if (run.out.lexically_normal() == whole->folder) {  // the last part, which reports for all of them
      std::erase_if(run.faults, [](const Fault& fault) { return fault.kind == FaultKind::undecodable; });
      run.faults.insert(run.faults.end(), whole->undecodable.begin(), whole->undecodable.end());
    }
  }
  finish(run);
  run.world.barrier();  // what rank 0 has written is complete
  return std::move(run.lock);
}

}  // namespace rcnn
