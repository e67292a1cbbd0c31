#include "bench/capture.h"

#include <fmt/chrono.h>

#include "bench/lab_names.h"
#include "bench/timing.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/files/output.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/text.h"
#include "models/config.h"

namespace rcnn {

ShapeCapture::ShapeCapture(CaptureOptions options) : options_(std::move(options)) {
  capture_.what = options_.what;
  capture_.command = options_.command;
  capture_.version = options_.version;
  capture_.training = options_.training;
  capture_.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

ShapeCapture::~ShapeCapture() = default;

std::unique_ptr<ShapeCapture> make_capture(const CaptureOptions& options, bool force,
                                           const std::vector<std::filesystem::path>& inputs,
                                           const std::filesystem::path& out) {
  namespace fs = std::filesystem;
  if (options.file.empty()) return nullptr;
  check_extension("--capture", options.file, ".json");
  std::error_code none;
  const auto place = [&](const fs::path& path) {
    return fs::weakly_canonical(fs::absolute(path, none), none);
  };
  check_input(out.empty() || place(options.file).parent_path() != place(out / "x").parent_path(),
              "--capture {}: {} is the folder of this command's results; choose another",
              options.file.string(), out.string());
  OutputCheck outputs(force);
  for (const fs::path& input : inputs) outputs.reads(input);
  outputs.writes("--capture", options.file);
  if (options.values) outputs.writes("--capture", values_file(options.file));
  return std::make_unique<ShapeCapture>(options);
}

void ShapeCapture::step_begins(Context& ctx) {
  if (written_ || step_ < options_.warm_up) return;
  device_ = ctx.device;
  if (!profile_) {
    capture_.device = device_.type == DeviceType::cuda ? cuda::device_info(device_.index).name : "cpu";
    capture_.precision = name_of(ctx.precision);
    capture_.threads = thread_count();
  }
  profile_ = std::make_unique<OpProfile>(
      ctx, [this](const OpCall& call, OpProfile::Call& entry) { describe(call, entry); });
  began_ = profile_->now();
}

void ShapeCapture::step_ends(Context& ctx) {
  ++step_;
  if (!profile_) return;
  if (device_.type == DeviceType::cuda) cuda::synchronize(device_);
  const double seconds = profile_->now() - began_;
  profile_->collect();
  add_calls();
  profile_.reset();
  ctx.observer = nullptr;
  step_seconds_.push_back(seconds - described_);
  described_ = 0;
  ++capture_.steps;
  if (capture_.steps == options_.steps) write();
}

void ShapeCapture::describe(const OpCall& call, OpProfile::Call& entry) {
  const double start = profile_->now();
  const OpCalls& calls = op_calls().at(call.op);
  kernels::ArgumentReader reader(device_);
  const CallJson description = calls.describe(call.args, reader);
  const auto [found, is_new] = index_.emplace(std::string(call.op) + description.dump(), capture_.ops.size());
  const size_t index = found->second;
  if (is_new) {
    capture_.ops.push_back({.op = call.op, .call = description});
    ms_.emplace_back();
    if (options_.values) capture_.ops[index].values = calls.values(call.args, description, reader);
    entry.timed = capture_.ops[index].values.empty();  // otherwise they were just read
  }
  ++capture_.ops[index].calls;
  // The packed copy of a convolution's weights serves maps of every size.
  if (const kernels::WeightsKey key = calls.weights(call.args); key.id != 0) {
    const std::string user = std::string_view(call.op) == "matmul" ? std::to_string(index) : call.op;
    const bool first = packed_.insert(fmt::format("{} {} {}", user, key.id, key.version)).second;
    if (first && options_.training) ++capture_.ops[index].packed;
  }
  entry.shape = std::to_string(index);
  described_ += profile_->now() - start;
}

void ShapeCapture::add_calls() {
  struct Sum {
    double ms = 0;
    int64_t calls = 0;
  };
  std::map<size_t, Sum> sums;
  for (const OpProfile::Call& call : profile_->calls()) {
    const auto index = static_cast<size_t>(std::stoul(call.shape));
    capture_.ops[index].variant = call.variant;
    if (!call.timed) continue;
    sums[index].ms += call.seconds * 1e3;
    ++sums[index].calls;
  }
  for (const auto& [index, sum] : sums) ms_[index].push_back(sum.ms / static_cast<double>(sum.calls));
}

void ShapeCapture::finish() {
  if (written_) return;
  check_input(capture_.steps > 0,
              "--capture {}: the run ended after {}; the first {} are not recorded, so there is nothing "
              "to write",
              options_.file.string(), counted(step_, "step"), options_.warm_up);
  write();
}

void ShapeCapture::write() {
  for (size_t i = 0; i < capture_.ops.size(); ++i)
    if (!ms_[i].empty()) capture_.ops[i].ms = median(ms_[i]);
  capture_.step_ms = median(step_seconds_) * 1e3;
  write_capture(options_.file, capture_);
  written_ = true;
  write_log(stdout, fmt::format("{}: {} ops of {} {}{}; `rcnn lab replay` times them again\n",
                                printable(options_.file.string()), capture_.ops.size(), capture_.steps,
                                capture_.what, capture_.steps == 1 ? "" : "s"));
}

}  // namespace rcnn
