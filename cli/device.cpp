#include "cli/device.h"

#include <fmt/format.h>

#include "bench/plan_use.h"
#include "cli/commands.h"
#include "cli/kernels.h"
#include "core/cuda/device.h"
#include "core/parallel.h"
#include "core/text.h"

namespace rcnn {

CLI::Option* add_threads(CLI::App& app) {
  return app
      .add_option_function<int>(
          "--threads", [](const int& threads) { set_thread_count(threads); },
          "threads that compute on the CPU [OMP_NUM_THREADS, or one per processor]")
      ->check(CLI::Range(1, 1024))
      ->type_name("NUMBER");
}

CLI::Option* add_plans(CLI::App& app, std::string& file) {
  return app.add_option("--plans", file, "run calls of certain shapes as this file of `rcnn lab tune` says")
      ->type_name("FILE");
}

std::shared_ptr<const kernels::Plans> plans_for(const std::string& file, Device device) {
  return file.empty() ? nullptr : load_plans(file, place_of(device, commit_name()));
}

void DeviceOptions::add_place(CLI::App& app) {
  app.add_option("--device", device, "where to compute: auto, cpu, cuda or cuda:N [auto]")
      ->type_name("DEVICE");
  add_threads(app);
  app.add_option("--precision", precision,
                 "precision of convolutions and matrix products on a GPU [the model's]")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}));
}

void DeviceOptions::add(CLI::App& app) {
  add_place(app);
  app.add_option("--kernel", kernels, kernel_help("conv2d=reference"))->type_name("OP=VARIANT");
  add_plans(app, plans);
  app.add_flag("--sync-report", sync_report, "print where the host waited for the GPU");
}

std::unique_ptr<Context> DeviceOptions::make_context(const ModelConfig& config) const {
  auto ctx = std::make_unique<Context>(cuda::choose_device(device).device);
  ctx->precision = parse_precision(precision.empty() ? config.precision : precision);
  ctx->kernels = parse_kernels(kernels);
  read_ = plans_for(plans, ctx->device);
  if (read_) kernels::use_plans(*ctx, *read_);
  return ctx;
}

void DeviceOptions::print_start() const {
  fmt::print("{}\n", cuda::choose_device(device).line);
  if (read_) fmt::print("{}\n", printable(read_->note));
}

void DeviceOptions::print_sync_report() const {
  if (sync_report) print_host_waits();
}

void print_host_waits() {
  const cuda::HostWaits total = cuda::total_host_waits();
  fmt::print("the host waited for the device {} times, {} of them to fetch values\n", total.waits,
             total.copies);
  for (const auto& [place, count] : cuda::host_waits())
    fmt::print("  {:<40} {:>6} waits {:>6} fetches\n", place, count.waits, count.copies);
}

}  // namespace rcnn
