#include "bench/lab_timer.h"

#include <fmt/format.h>

#include <algorithm>

namespace rcnn {
namespace {

constexpr size_t kWidth = 100;  // columns of the tables

bool is_library(const TimedRow& row) {
  const std::string_view needs = row.needs;
  return needs == kernels::on_onednn.needs || needs == kernels::on_cudnn.needs ||
         needs == kernels::on_cublas.needs;
}

/// "1.23 GFLOP" or "4.56 MFLOP".
std::string quantity(double value, const char* unit) {
  if (value >= 1e9) return fmt::format("{:.2f} G{}", value * 1e-9, unit);
  if (value >= 1e6) return fmt::format("{:.2f} M{}", value * 1e-6, unit);
  return fmt::format("{:.1f} k{}", value * 1e-3, unit);
}

/// Milliseconds with four significant digits.
std::string milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return ms < 1     ? fmt::format("{:.4f}", ms)
         : ms < 100 ? fmt::format("{:.3f}", ms)
                    : fmt::format("{:.1f}", ms);
}

}  // namespace

TensorShapes shapes_of(const std::vector<Tensor>& tensors) {
  TensorShapes shapes;
  for (const Tensor& tensor : tensors) shapes.emplace_back(tensor.shape().begin(), tensor.shape().end());
  return shapes;
}

std::string shapes_text(const TensorShapes& shapes) {
  std::string text;
  for (const auto& shape : shapes) text += (text.empty() ? "" : " ") + Shape(shape).str();
  return text.empty() ? "none" : text;
}

LabTimer::LabTimer(Device device, LabTimerOptions options, const Roofs& roofs)
    : ctx_(device),
      options_(std::move(options)),
      roofs_(roofs),
      on_gpu_(device.type == DeviceType::cuda),
      simulated_(on_gpu_ && cuda::is_simulated()) {
  if (on_gpu_ && !simulated_) watch_.emplace(place_on_bus(device));
}

void LabTimer::print_case(const TimedRow& row, size_t index) {
  std::string shapes;
  for (const auto& shape : row.inputs) shapes += " " + Shape(shape).str();
  const std::string work =
      fmt::format("case {}{}, {}", index, row.flop > 0 ? ", " + quantity(row.flop, "FLOP") : "",
                  quantity(row.bytes, "B"));
  const size_t room = kWidth - std::min(kWidth - 40, row.op.size() + work.size() + 2);
  if (shapes.size() > room) shapes = shapes.substr(0, room - 4) + " ...";
  fmt::print("{}{:<{}}  {}\n", row.op, shapes, room, work);
  fmt::print("  {:<26}{:<5}{:>9}{:>9}{:>9}{:>7}{:>9}{:>8}{:>7}{:>8}\n", "variant", "", "ms", "p10", "p90",
             "noise", "GFLOP/s", "GB/s", "roof", "library");
}

void LabTimer::print_row(const TimedRow& row) {
  const auto line = [&](const std::string& name, const Timing& t) {
    const double seconds = t.seconds;
    fmt::print("  {:<26}{:<5}{:>9}{:>9}{:>9}{:>7}{:>9}{:>8.1f}{:>7}{:>8}\n", name, name_of(row.precision),
               milliseconds(seconds), milliseconds(t.p10), milliseconds(t.p90),
               fmt::format("{:.1f}%", t.noise * 100),
               row.flop > 0 ? fmt::format("{:.1f}", row.flop / seconds * 1e-9) : "",
               row.bytes / seconds * 1e-9,
               row.share > 0 ? fmt::format("{:.0f}%{}", row.share * 100 * row.timing.seconds / seconds,
                                           row.by_memory ? 'M' : 'P')
                             : "",
               row.library > 0 && &t == &row.timing ? fmt::format("{:.2f}x", row.library) : "");
  };
  line(row.variant, row.timing);
  if (row.cold.samples > 0) line(row.variant + ", cold", row.cold);
}

void LabTimer::time_job(Job& job) {
  if (options_.once) {
    const cuda::Range range("lab_once");  // tools/ncu_lab.py counts what is in it
    job.run();
    if (on_gpu_ && !simulated_) cuda::synchronize(ctx_.device);
    return;
  }
  const bool real_gpu = on_gpu_ && !simulated_;
  const StopRule rule = simulated_ ? StopRule{0, 0} : options_.stop;
  const Sampler sampler = real_gpu ? gpu_sampler(ctx_, job.run) : cpu_sampler(job.run);
  std::vector<double> seconds;
  collect(sampler, rule, seconds);
  job.row.timing = timing_of({seconds}, sampler.graph);
  if (watch_) job.row.gpu = watch_->now();  // the card has done its last run a moment ago
  if (options_.cold && real_gpu) {
    std::vector<double> cold;
    collect(cold_gpu_sampler(ctx_, job.run), rule, cold);
    job.row.cold = timing_of({cold}, false);
  }
}

void LabTimer::time_in_rounds(std::vector<Job>& jobs) {
  std::vector<std::function<void()>> works;
  for (const Job& job : jobs) works.push_back(job.run);
  const std::vector<TimedWork> timed = time_in_turn(works, options_.stop);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].row.timing = timed[i].timing;
    jobs[i].row.error = timed[i].error;
  }
}

void LabTimer::measure(std::vector<Job>& jobs) {
  if (!on_gpu_ && !options_.once) {
    time_in_rounds(jobs);
  } else {
    for (Job& job : jobs) {
      try {
        time_job(job);
      } catch (const Error& error) {
        job.row.error = error.what();
      }
    }
  }
  for (Job& job : jobs) {
    TimedRow& row = job.row;
    if (!row.error.empty() || options_.once) continue;
    const double floor = roofs_.floor(row.flop, row.bytes, row.precision, row.by_memory);
    row.share = floor / row.timing.seconds;
    double best = 0;
    for (const Job& other : jobs)
      if (is_library(other.row) && other.row.error.empty() && other.row.precision == row.precision)
        best = best == 0 ? other.row.timing.seconds : std::min(best, other.row.timing.seconds);
    row.library = best / row.timing.seconds;
  }
  print_case(jobs.front().row, jobs.front().row.case_index);
  for (Job& job : jobs) {
    if (!job.row.error.empty()) {
      fmt::print("  {:<26} failed: {}\n", job.row.variant, job.row.error);
      ++failures;
    } else if (options_.once) {
      fmt::print("  {:<26} ran once\n", job.row.variant);
    } else {
      print_row(job.row);
    }
    rows.push_back(std::move(job.row));
  }
}

}  // namespace rcnn
