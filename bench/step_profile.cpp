#include "bench/step_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "core/cuda/device.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/memory.h"

namespace rcnn {
namespace {

constexpr double kMega = 1e6;

/// "fc6.weight" -> "fc6".
std::string layer_of_parameter(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

std::string op_text(const OpProfile::Call& call) { return fmt::format("{} ({})", call.op, call.variant); }

/// At most `width` columns; the end of a long name tells more than its beginning.
std::string shortened(const std::string& name, size_t width) {
  return name.size() <= width ? name : ".." + name.substr(name.size() - width + 2);
}

std::string number_or_dash(double value, int digits) {
  return value > 0 ? fmt::format("{:.{}f}", value, digits) : "-";
}

}  // namespace

StepProfile::StepProfile(Context& ctx, FasterRcnn& model)
    : ctx_(ctx),
      model_(model),
      profile_(ctx, [this](const OpCall& call, OpProfile::Call& entry) { describe(call, entry); }) {}

void StepProfile::step_begins() {
  // Gradients get their memory in the first step and keep it.
  layer_of_.clear();
  for_each_parameter(model_, [&](const std::string& name, Var& parameter) {
    layer_of_[parameter.value().raw()] = layer_of_parameter(name);
    if (const Tensor gradient = parameter.gradient_memory(); gradient.defined())
      layer_of_[gradient.raw()] = layer_of_parameter(name);
  });
  steps_.push_back(
      {.start = profile_.now(), .memory = memory_in_use(ctx_.device), .first_call = profile_.calls().size()});
  reset_peak_memory(ctx_.device);
}

void StepProfile::step_ends() {
  if (ctx_.device.type == DeviceType::cuda) cuda::synchronize(ctx_.device);
  steps_.back().seconds = profile_.now() - steps_.back().start;
  profile_.collect();
}

const std::string* StepProfile::layer_of_call(const OpCalls& calls, const void* args) const {
  for (size_t at = 0; at + sizeof(void*) <= calls.argument_bytes; at += alignof(void*)) {
    const void* address;
    std::memcpy(&address, static_cast<const char*>(args) + at, sizeof address);
    if (const auto found = layer_of_.find(address); found != layer_of_.end()) return &found->second;
  }
  return nullptr;
}

void StepProfile::describe(const OpCall& call, OpProfile::Call& entry) {
  const double start = profile_.now();
  const OpCalls& calls = op_calls().at(call.op);
  kernels::ArgumentReader reader(ctx_.device);
  entry.shape = calls.describe(call.args, reader).dump();
  if (const std::string* layer = layer_of_call(calls, call.args))
    entry.layer = *layer;
  else if (entry.layer.empty())
    entry.layer = "(no layer)";
  if (!steps_.empty()) steps_.back().described += profile_.now() - start;
}

const CallWork& StepProfile::work_of(const OpProfile::Call& call) const {
  const auto [found, is_new] = work_.try_emplace(std::string(call.op) + call.shape);
  if (is_new) found->second = op_calls().at(call.op).work(CallJson::parse(call.shape));
  return found->second;
}

std::vector<StepProfile::Row> StepProfile::rows(By by) const {
  std::map<std::string, Row> by_name;
  for (const OpProfile::Call& call : profile_.calls()) {
    const std::string name = by == By::op      ? op_text(call)
                             : by == By::layer ? call.layer
                                               : fmt::format("{} {}", call.layer, op_text(call));
    Row& row = by_name[name];
    row.name = name;
    ++row.calls;
    row.seconds += call.seconds;
    const CallWork& work = work_of(call);
    row.flop += work.flop;
    row.bytes += work.bytes;
  }
  std::vector<Row> rows;
  for (const auto& [name, row] : by_name) rows.push_back(row);
  std::ranges::stable_sort(rows, std::greater(), &Row::seconds);
  return rows;
}

StepProfile::Memory StepProfile::memory() const {
  Memory memory;
  const auto& calls = profile_.calls();
  for (size_t s = 0; s < steps_.size(); ++s) {
    const size_t end = s + 1 < steps_.size() ? steps_[s + 1].first_call : calls.size();
    std::map<std::string, int64_t> growth;
    int64_t before = steps_[s].memory;
    for (size_t i = steps_[s].first_call; i < end; ++i) {
      const OpProfile::Call& call = calls[i];
      if (call.peak > memory.peak) {
        memory.before = steps_[s].memory;
        memory.peak = call.peak;
        memory.layer = call.layer;
        memory.call = op_text(call);
        std::map<std::string, int64_t> at_peak = growth;
        at_peak[call.layer] += call.peak - before;
        memory.growth.assign(at_peak.begin(), at_peak.end());
      }
      growth[call.layer] += call.memory - before;
      before = call.memory;
    }
  }
  std::ranges::stable_sort(memory.growth, std::greater(), &std::pair<std::string, int64_t>::second);
  return memory;
}

void StepProfile::print(const std::string& by, size_t max_rows, std::FILE* to) const {
  const Memory memory_of_steps = memory();  // before anything else is allocated
  const Roofs roofs = measure_roofs(ctx_);
  const double steps = static_cast<double>(std::max<size_t>(1, steps_.size()));
  double all = 0, in_ops = 0;
  for (const Step& step : steps_) all += step.seconds - step.described;
  for (const OpProfile::Call& call : profile_.calls()) in_ops += call.seconds;

  const auto print_row = [&](const Row& row) {
    const double seconds = std::max(row.seconds, 1e-12);
    bool by_memory = false;
    const double share = roofs.floor(row.flop, row.bytes, ctx_.precision, by_memory) / seconds;
    fmt::print(to, "{:<43} {:>6.0f} {:>9.3f} {:>5.1f} {:>8} {:>8.1f} {:>7} {:>6.1f}\n",
               shortened(row.name, 43), static_cast<double>(row.calls) / steps, row.seconds * 1e3 / steps,
               100 * row.seconds / all, number_or_dash(row.flop / steps * 1e-9, 3), row.bytes / steps / kMega,
               number_or_dash(row.flop / seconds * 1e-9, 1), 100 * share);
  };
  const auto print_table = [&](By kind, const char* name) {
    std::vector<Row> table = rows(kind);
    fmt::print(to, "\n{:<43} {:>6} {:>9} {:>5} {:>8} {:>8} {:>7} {:>6}\n", name, "calls", "ms", "%", "GFLOP",
               "MB", "GFLOP/s", "% roof");
    Row others;
    for (size_t i = 0; i < table.size(); ++i) {
      if (i < max_rows || table.size() == max_rows + 1) {
        print_row(table[i]);
        continue;
      }
      others.calls += table[i].calls;
      others.seconds += table[i].seconds;
      others.flop += table[i].flop;
      others.bytes += table[i].bytes;
    }
    if (others.calls > 0) {
      others.name = fmt::format("{} others", table.size() - max_rows);
      print_row(others);
    }
  };
  if (by != "layer" && by != "both") print_table(By::op, "op (variant)");
  if (by == "layer" || by.empty()) print_table(By::layer, "layer");
  if (by == "both") print_table(By::layer_and_op, "layer, op (variant)");

  fmt::print(to, "\nall ops {:.2f} ms of {:.2f} ms per step; the rest is allocation, autograd and waiting\n",
             in_ops * 1e3 / steps, all * 1e3 / steps);
  fmt::print(to, "limits measured now: {}\n", roofs.text);
  fmt::print(
      to,
      "  % roof: the larger of the shares of the two; over 100 if data are in a cache, rows of zeros are\n"
      "  skipped, or Winograd's algorithm needs fewer multiplications than GFLOP counts\n");
  const Memory& m = memory_of_steps;
  const auto mb = [](int64_t bytes) { return static_cast<double>(bytes) / kMega; };
  fmt::print(to, "memory: {:.1f} MB before the step, at most {:.1f} MB, during or before\n  {} of {}\n",
             mb(m.before), mb(m.peak), m.call, shortened(m.layer, 50));
  std::string line = "  at the peak, grown since the step began:";
  constexpr size_t kShown = 6;
  for (size_t i = 0; i < std::min(kShown, m.growth.size()) && m.growth[i].second > 0; ++i) {
    const std::string part = fmt::format(" {} {:.1f} MB,", m.growth[i].first, mb(m.growth[i].second));
    if (line.size() + part.size() > 100) fmt::print(to, "{}\n", line), line = "   ";
    line += part;
  }
  if (line.ends_with(',')) line.back() = '\n';
  fmt::print(to, "{}", line.ends_with('\n') ? line : line + "\n");
  if (ctx_.device.type == DeviceType::cuda)
    fmt::print(
        to,
        "on the GPU: ops are timed with events around each, without CUDA graphs, which hide single ops; the\n"
        "  times include gaps in which the GPU waits for the host, and a graph removes those (see\n"
        "  `rcnn bench model --cuda-graph`). Memory is what the arenas took from CUDA.\n");
}

void StepProfile::write_trace(const std::filesystem::path& path, const std::string& version) const {
  constexpr int kProcess = 1, kOps = 1, kLayers = 2;
  constexpr double kMicro = 1e6;
  const auto rounded = [](double seconds) { return std::round(seconds * kMicro * 1e3) / 1e3; };
  std::vector<CallJson> events;
  const auto name_of_track = [&](const char* what, int track, const char* name) {
    events.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", kProcess}, {"tid", track}, {"args", {{"name", name}}}});
  };
  name_of_track("process_name", 0, "rcnn");
  name_of_track("thread_name", kOps, "steps and ops");
  name_of_track("thread_name", kLayers, "layers");
  const auto add = [&](const std::string& name, const char* category, int track, double start, double seconds,
                       CallJson args) {
    events.push_back({{"name", name},
                      {"cat", category},
                      {"ph", "X"},
                      {"ts", rounded(start)},
                      {"dur", rounded(seconds)},
                      {"pid", kProcess},
                      {"tid", track},
                      {"args", std::move(args)}});
  };
  const auto& calls = profile_.calls();
  // On a GPU the clock of the events has another zero than that of the steps, so only ops are shown.
  if (ctx_.device.type == DeviceType::cpu)
    for (size_t i = 0; i < steps_.size(); ++i)
      add(fmt::format("step {}", i + 1), "step", kOps, steps_[i].start, steps_[i].seconds,
          CallJson::object());
  for (size_t i = 0; i < calls.size(); ++i) {
    const OpProfile::Call& call = calls[i];
    const CallWork& work = work_of(call);
    add(call.op, "op", kOps, call.start, call.seconds,
        {{"variant", call.variant},
         {"layer", call.layer},
         {"shape", short_text(call.op, CallJson::parse(call.shape))},
         {"flop", work.flop},
         {"bytes", work.bytes}});
    events.push_back({{"name", "memory"},
                      {"ph", "C"},
                      {"ts", rounded(call.start + call.seconds)},
                      {"pid", kProcess},
                      {"tid", 0},
                      {"args", {{"bytes in use", call.memory}}}});
    if (i > 0 && calls[i - 1].layer == call.layer) continue;  // shown with the first of its run
    size_t last = i;
    while (last + 1 < calls.size() && calls[last + 1].layer == call.layer) ++last;
    add(call.layer, "layer", kLayers, call.start, calls[last].start + calls[last].seconds - call.start,
        CallJson::object());
  }
  std::string text = "{\"displayTimeUnit\": \"ms\", \"otherData\": " +
                     CallJson{{"info", kWrittenHere}, {"version", version}}.dump() + ",\n \"traceEvents\": [";
  for (size_t i = 0; i < events.size(); ++i) text += (i == 0 ? "\n  " : ",\n  ") + events[i].dump();
  write_atomically(path, text + "]}\n");
}

}  // namespace rcnn
