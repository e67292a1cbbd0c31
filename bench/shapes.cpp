#include "bench/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include "bench/case_json.h"
#include "bench/timing.h"
#include "core/counted.h"
#include "core/cuda/device.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/files/safetensors.h"
#include "core/files/sha256.h"
#include "core/parallel.h"
#include "core/text.h"
#include "models/config.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

template <class T>
T member(const fs::path& path, const std::string& where, const CallJson& object, const char* key) {
  const bool fits = object.contains(key) && (std::is_same_v<T, std::string> ? object[key].is_string()
                                             : std::is_same_v<T, bool>      ? object[key].is_boolean()
                                             : std::is_integral_v<T>        ? object[key].is_number_integer()
                                                                            : object[key].is_number());
  check_input(fits, "{}: {}: there is no {} \"{}\"", path.string(), where,
              std::is_same_v<T, std::string> ? "text"
              : std::is_same_v<T, bool>      ? "true or false"
              : std::is_integral_v<T>        ? "whole number"
                                             : "number",
              key);
  return object[key].template get<T>();
}

constexpr int64_t kMaxCalls = 1'000'000'000;
constexpr double kMaxMs = 1e9;  // eleven days

CapturedOp read_entry(const fs::path& path, const CallJson& entry, size_t number) {
  const std::string where = fmt::format("entry {} of \"ops\"", number);
  check_input(entry.is_object(), "{}: {} is not an object", path.string(), where);
  CapturedOp op;
  op.op = member<std::string>(path, where, entry, "op");
  check_input(op_calls().contains(op.op), "{}: {}: there is no op {}", path.string(), where,
              printable(op.op));
  op.variant = member<std::string>(path, where, entry, "variant");
  op.calls = member<int64_t>(path, where, entry, "calls");
  op.ms = member<double>(path, where, entry, "ms");
  op.packed = member<int64_t>(path, where, entry, "packed");
  check_input(op.calls > 0 && op.calls <= kMaxCalls && op.packed >= 0 && op.packed <= op.calls &&
                  op.ms >= 0 && op.ms <= kMaxMs,
              "{}: {}: expected calls from 1 to {}, packed from 0 to calls, and ms from 0 to {:g}",
              path.string(), where, kMaxCalls, kMaxMs);
  for (const char* key : {"case", "accumulate", "in_place", "weights"})
    if (entry.contains(key)) op.call[key] = entry[key];
  for (const char* key : {"in_place", "weights"})
    check_input(!op.call.contains(key) || op.call[key].is_boolean(),
                "{}: {}: \"{}\" is neither true nor false", path.string(), where, key);
  return op;
}

void read_values(const fs::path& path, const CallJson& whole, Capture& capture) {
  const CallJson& rows = whole["ops"];
  bool any = false;
  for (const CallJson& row : rows) any |= row.contains("values");
  if (!any) return;
  const std::string digest = sha256_hex_of_file(values_file(path));
  check_input(whole.contains("values_sha256") && whole["values_sha256"] == digest,
              "{}: these are not the values that were captured with {}: their digest is {}, expected {}",
              values_file(path).string(), path.string(), digest.substr(0, 12),
              whole.contains("values_sha256") && whole["values_sha256"].is_string()
                  ? printable(whole["values_sha256"].get<std::string>().substr(0, 12))
                  : "one in \"values_sha256\"");
  const SafetensorsFile file = read_safetensors(values_file(path));
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].contains("values")) continue;
    check_input(rows[i]["values"].is_array(), "{}: entry {} of \"ops\": \"values\" is not a list",
                path.string(), i);
    for (const CallJson& number : rows[i]["values"]) {
      check_input(number.is_number_unsigned() && number < 1000,
                  "{}: entry {} of \"ops\": \"values\" is not a list of numbers of inputs", path.string(), i);
      const std::string name = fmt::format("{}/{}", i, number.get<int>());
      const auto found = file.tensors.find(name);
      check_input(found != file.tensors.end(), "{}: there is no tensor {}, which {} names",
                  values_file(path).string(), name, path.string());
      capture.ops[i].values[number.get<int>()] = found->second;
    }
  }
}

/// A case in the rounds.
struct Item {
  std::unique_ptr<RepeatedCall> call = {};
  double share_packed = 0;                                 // of its calls
  double due = 0;                                          // calls with new weights that are due
  std::vector<double> old_weights = {}, new_weights = {};  // seconds

  double seconds() const {
    if (new_weights.empty()) return median(old_weights);
    if (old_weights.empty()) return median(new_weights);
    return share_packed * median(new_weights) + (1 - share_packed) * median(old_weights);
  }
};

class Clock {
 public:
  explicit Clock(Context& ctx) : ctx_(ctx), on_gpu_(ctx.device.type == DeviceType::cuda) {
    if (!on_gpu_) return;
    for (int i = 0; i < 2; ++i) events_.emplace_back(ctx.device, true);
  }
  template <class Work>
  double time(const Work& work) {
    using Steady = std::chrono::steady_clock;
    if (on_gpu_) events_[0].record(ctx_.stream);
    const auto start = Steady::now();
    work();
    if (!on_gpu_) return std::chrono::duration<double>(Steady::now() - start).count();
    events_[1].record(ctx_.stream);
    events_[1].wait();
    return static_cast<double>(events_[1].since(events_[0])) * 1e-3;
  }

 private:
  Context& ctx_;
  bool on_gpu_;
  std::vector<cuda::Event> events_;
};

/// Runs all items one after the other, again and again.
void run_rounds(Context& ctx, std::vector<Item>& items, double seconds) {
  using Steady = std::chrono::steady_clock;
  constexpr int kMinRounds = 3;
  Clock clock(ctx);
  const auto start = Steady::now();
  for (int round = -1;; ++round) {  // the first is not counted: it makes plans and fills caches
    const double spent = std::chrono::duration<double>(Steady::now() - start).count();
    if (round >= kMinRounds && spent > seconds) return;
    for (Item& item : items) {
      item.due += item.share_packed;
      const bool packs = round < 0 || item.due >= 1;
      if (packs && round >= 0) item.due -= 1;
      const double time = clock.time([&] { item.call->run(ctx, packs); });
      if (round >= 0) (packs ? item.new_weights : item.old_weights).push_back(time);
    }
  }
}

}  // namespace

fs::path values_file(const fs::path& path) { return path.string() + ".safetensors"; }

void write_capture(const fs::path& path, const Capture& capture) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::string text = "{";
  const auto add = [&](const char* key, const CallJson& value) {
    text += (text.size() > 1 ? ",\n " : "") + CallJson(key).dump() + ": " + value.dump();
  };
  add("info", kWrittenHere);
  add("shapes", 1);
  add("what", capture.what);
  add("command", escaped(capture.command));
  add("version", capture.version);
  add("date", capture.date);
  add("device", capture.device);
  add("threads", capture.threads);
  add("precision", capture.precision);
  add("training", capture.training);
  add("steps", capture.steps);
  add("step_ms", std::round(capture.step_ms * 1e3) / 1e3);
  std::string ops;
  for (size_t i = 0; i < capture.ops.size(); ++i) {
    const CapturedOp& op = capture.ops[i];
    CallJson row{{"op", op.op},
                 {"variant", op.variant},
                 {"calls", op.calls},
                 {"ms", std::round(op.ms * 1e4) / 1e4},
                 {"packed", op.packed}};
    row.update(op.call);
    for (const auto& [number, tensor] : op.values) {
      row["values"].push_back(number);
      tensors.emplace_back(fmt::format("{}/{}", i, number), tensor);
    }
    ops += (i == 0 ? "\n  " : ",\n  ") + row.dump();
  }
  if (!tensors.empty()) {
    write_safetensors(values_file(path), tensors, {{"info", std::string(kWrittenHere)}});
    add("values_sha256", sha256_hex_of_file(values_file(path)));
  }
  write_atomically(path, text + ",\n \"ops\": [" + ops + "]}\n");
}

Capture read_capture(const fs::path& path) {
  const auto json = json_of_file<CallJson>(path);
  check_input(json.is_object() && json.contains("shapes") && json["shapes"] == 1 && json.contains("ops") &&
                  json["ops"].is_array(),
              "{}: this is no file of shapes, as --capture writes it", path.string());
  const std::string top = "the file";
  Capture capture;
  capture.what = member<std::string>(path, top, json, "what");
  capture.command = member<std::string>(path, top, json, "command");
  capture.version = member<std::string>(path, top, json, "version");
  capture.device = member<std::string>(path, top, json, "device");
  capture.precision = member<std::string>(path, top, json, "precision");
  capture.threads = member<int>(path, top, json, "threads");
  capture.training = member<bool>(path, top, json, "training");
  capture.steps = member<int64_t>(path, top, json, "steps");
  capture.step_ms = member<double>(path, top, json, "step_ms");
  check_input(capture.steps > 0, "{}: \"steps\" is {}, expected at least 1", path.string(), capture.steps);
  check_input(capture.threads > 0, "{}: \"threads\" is {}, expected at least 1", path.string(),
              capture.threads);
  check_input(capture.step_ms > 0 && capture.step_ms <= kMaxMs,
              "{}: \"step_ms\" is {}, expected a time above 0 and of at most {:g}", path.string(),
              capture.step_ms, kMaxMs);
  constexpr size_t kMaxWhat = 40;
  check_input(capture.what.size() <= kMaxWhat, "{}: \"what\" has {} letters, expected at most {}",
              path.string(), capture.what.size(), kMaxWhat);
  try {
    parse_precision(capture.precision);
  } catch (const InputError& fault) {
    throw InputError(fmt::format("{}: {}", path.string(), fault.what()));
  }
  for (size_t i = 0; i < json["ops"].size(); ++i) capture.ops.push_back(read_entry(path, json["ops"][i], i));
  check_input(!capture.ops.empty(), "{}: \"ops\" is empty", path.string());
  read_values(path, json, capture);
  return capture;
}

std::vector<Replayed> replay(Context& ctx, const Capture& capture, double seconds) {
  constexpr int64_t kMaxBytes = int64_t{2} << 30;  // of the tensors of one group
  const InferenceMode mode(ctx);
  std::vector<Replayed> replayed;
  size_t next = 0;
  while (next < capture.ops.size()) {
    std::vector<Item> items;
    const size_t first = next;
    for (int64_t bytes = 0; next < capture.ops.size() && (items.empty() || bytes < kMaxBytes); ++next) {
      const CapturedOp& op = capture.ops[next];
      items.push_back({.call = op_calls().at(op.op).repeat(op.call, op.values, ctx.device),
                       .share_packed = static_cast<double>(op.packed) / static_cast<double>(op.calls)});
      bytes += items.back().call->bytes();
    }
    run_rounds(ctx, items,
               seconds * static_cast<double>(next - first) / static_cast<double>(capture.ops.size()));
    for (const Item& item : items) replayed.push_back({item.seconds() * 1e3, item.call->variant(ctx)});
  }
  return replayed;
}

StepSums print_step_table(const Capture& capture, const std::vector<EntryTimes>& columns) {
  std::map<std::string, StepSums> by_op;
  StepSums sum;
  for (size_t i = 0; i < capture.ops.size(); ++i) {
    const CapturedOp& op = capture.ops[i];
    if (std::ranges::any_of(columns, [&](const EntryTimes& column) { return column.ms.at(i) < 0; })) continue;
    const double calls = static_cast<double>(op.calls) / static_cast<double>(capture.steps);
    for (StepSums* row : {&by_op[op.op], &sum}) {
      row->columns.resize(columns.size());
      for (size_t column = 0; column < columns.size(); ++column)
        row->columns[column] += calls * columns[column].ms[i];
      row->captured += calls * op.ms;
      row->calls += calls;
      ++row->entries;
    }
  }
  if (sum.entries == 0) return sum;
  std::vector<std::pair<std::string, StepSums>> rows(by_op.begin(), by_op.end());
  std::ranges::sort(rows, std::greater(), [](const auto& row) { return row.second.columns.at(0); });
  rows.emplace_back("all ops", sum);
  fmt::print("{:<31}{:>11}", "op", "calls/step");
  for (const EntryTimes& column : columns) fmt::print("{:>12}", column.title);
  fmt::print("{:>12}{:>8}\n", "captured ms", "ratio");
  for (const auto& [name, row] : rows) {
    fmt::print("{:<31}{:>11.1f}", name, row.calls);
    for (const double ms : row.columns) fmt::print("{:>12.3f}", ms);
    fmt::print("{:>12.3f}{:>8}\n", row.captured,
               row.captured > 0 ? fmt::format("{:.2f}", row.columns[0] / row.captured) : "-");
  }
  return sum;
}

double print_share_of_step(const Capture& capture, const std::string& what, double ms) {
  const double share = ms / capture.step_ms;
  fmt::print("the captured {} took {:.2f} ms (median of {}); {} are {:.1f} % of it\n",
             printable(capture.what), capture.step_ms, capture.steps, what, 100 * share);
  if (thread_count() != capture.threads)
    fmt::print("The times that were captured are of {}, those of now of {}.\n",
               counted(capture.threads, "thread"), thread_count());
  if (std::ranges::all_of(capture.ops, [](const CapturedOp& op) { return op.values.empty(); }))
    fmt::print(
        "No values were captured: ops whose time depends on them, as nms and box_targets, got random "
        "ones.\n");
  return share;
}

double print_replay(const Capture& capture, const std::vector<Replayed>& replayed) {
  EntryTimes times{"replayed ms"};
  for (const Replayed& entry : replayed) times.ms.push_back(entry.ms);
  const StepSums sum = print_step_table(capture, {times});
  return print_share_of_step(capture, "the replayed ops", sum.columns.at(0));
}

}  // namespace rcnn
