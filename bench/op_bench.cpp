#include "bench/op_bench.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/timing.h"
#include "core/cuda/device.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "kernels/cases_device.h"
#include "kernels/op_cases.h"
#include "models/config.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kWidth = 100;         // columns of the table
constexpr double kMaxSimulated = 3e7;  // FLOP or bytes of a case that a simulated GPU runs

const char* name_of(Precision precision) {
  return precision == Precision::f32 ? "f32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

template <class Prepared>
double bytes_of(const Prepared& p) {
  if (p.bytes > 0) return p.bytes;
  size_t bytes = 0;
  for (const Tensor& tensor : p.inputs) bytes += tensor.bytes();
  for (const Tensor& tensor : p.outputs) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

std::vector<std::vector<int64_t>> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor& tensor : tensors) shapes.emplace_back(tensor.shape().begin(), tensor.shape().end());
  return shapes;
}

/// As in a layer: variants that pack the weights do so once, in the run that is not timed.
template <class Prepared>
void identify_weights(Prepared& p) {
  if constexpr (requires {
                  p.args.weights;
                  p.args.w;
                })
    for (const Tensor& tensor : p.inputs)
      if (tensor.raw() == p.args.w) p.args.weights = {tensor.storage().id, tensor.version()};
}

void print_case(const char* op, const std::vector<Tensor>& inputs) {
  std::string line = op;
  for (const Tensor& tensor : inputs)
    if (line.size() < kWidth) line += " " + tensor.shape().str();
  if (line.size() > kWidth) line = line.substr(0, kWidth - 4) + " ...";
  fmt::print("{}\n", line);
}

void print_variant(std::string_view name, Precision precision, double seconds, double flop, double bytes) {
  fmt::print("  {:<34} {:<4} {:>12.4f} ms {:>16} {:>11.1f} GB/s\n", name, name_of(precision), seconds * 1e3,
             flop > 0 ? fmt::format("{:.1f} GFLOP/s", flop / seconds * 1e-9) : "", bytes / seconds * 1e-9);
}

/// Times the variants of an op on its cases, prints them, and appends them to `rows`. Returns the number of
/// those that failed.
template <class Op>
int bench_op(const OpBenchOptions& options, Device device, const Op& op, Json& rows) {
  Context ctx(device);
  const bool on_gpu = device.type == DeviceType::cuda, simulated = on_gpu && cuda::is_simulated();
  const auto wanted = [&](std::string_view name) {
    return options.variants.empty() || std::ranges::find(options.variants, name) != options.variants.end();
  };
  const auto is_chosen = [&](const auto& variant, const auto& args) {
    return options.chosen.empty() || std::ranges::any_of(options.chosen, [&](const std::string& precision) {
             ctx.precision = parse_precision(precision);
             return &kernels::choose(ctx, op, args) == &variant;
           });
  };
  if (std::ranges::none_of(op.variants, [&](const auto& variant) {
        return kernels::runs_in(ctx, variant) && wanted(variant.name);
      }))
    return 0;
  int failures = 0;
  const auto op_cases = cases_of(op);
  const auto cases = op_cases.timed();
  for (size_t index = 0; index < cases.size(); ++index) {
    if (options.only_case >= 0 && static_cast<size_t>(options.only_case) != index) continue;
    kernels::UniformTensors noted;
    const auto host = op_cases.prepare(float{}, cases[index],
                                       kernels::Filler(1, kernels::Fill::uniform, Accumulate::no, &noted));
    const double bytes = bytes_of(host);
    if (simulated && std::max(host.flop, bytes) > kMaxSimulated) continue;
    auto p = on_gpu ? kernels::on_device(host, device, noted) : host;
    identify_weights(p);
    print_case(op.name, p.inputs);
    for (const auto& variant : op.variants) {
      if (!kernels::fits(ctx, variant, p.args) || !wanted(variant.name) || !is_chosen(variant, p.args))
        continue;
      if (std::string_view(variant.name) == "reference" && p.flop > options.slowest * 1e9) continue;
      const auto run = [&] {
        const Workspace::Scope scope(ctx.workspace);
        variant.run(ctx.stream, ctx.workspace, p.args);
        if (simulated) cuda::synchronize(device);
      };
      Json row{{"op", op.name},
               {"case", index},
               {"variant", variant.name},
               {"precision", name_of(variant.backend.precision)},
               {"inputs", shapes_of(p.inputs)},
               {"outputs", shapes_of(p.outputs)}};
      try {
        const Timing timing = simulated ? time_on_cpu(run, 0)
                              : on_gpu  ? time_on_gpu(ctx, run, options.seconds)
                                        : time_on_cpu(run, options.seconds);
        print_variant(variant.name, variant.backend.precision, timing.seconds, p.flop, bytes);
        row["graph"] = timing.graph;
        row["ms"] = timing.seconds * 1e3;
        row["gflops"] = p.flop > 0 ? Json(p.flop / timing.seconds * 1e-9) : Json();
        row["gbs"] = bytes / timing.seconds * 1e-9;
        if (options.cold && on_gpu && !simulated) {
          const double cold = time_on_gpu_cold(ctx, run, options.seconds);
          print_variant(fmt::format("{}, cold", variant.name), variant.backend.precision, cold, p.flop,
                        bytes);
          row["cold_ms"] = cold * 1e3;
        }
      } catch (const Error& error) {
        fmt::print("  {:<34} failed: {}\n", variant.name, error.what());
        row["error"] = error.what();
        ++failures;
      }
      rows.push_back(row);
    }
  }
  return failures;
}

bool is_wanted(const OpBenchOptions& options, std::string_view op) {
  return options.ops.empty() || std::ranges::any_of(options.ops, [&](const std::string& part) {
           return op.find(part) != std::string_view::npos;
         });
}

/// Checks that one of the ops to time has a variant of this name.
void check_variant(const OpBenchOptions& options, const std::string& name) {
  bool known = false;
  kernels::for_each_op([&](const auto& op) {
    if (!is_wanted(options, op.name)) return;
    for (const auto& variant : op.variants) known |= name == variant.name;
  });
  check_input(known, "--variant {}: no op that is to be timed has a variant of that name", name);
}

/// The text of the document, with one line per entry of its list "ops".
std::string text_of(const Json& document, const Json& rows) {
  std::string text = "{";
  for (const auto& [key, value] : document.items()) text += Json(key).dump() + ": " + value.dump() + ",\n ";
  text += "\"ops\": [";
  for (size_t i = 0; i < rows.size(); ++i) text += (i == 0 ? "\n  " : ",\n  ") + rows[i].dump();
  return text + "]}\n";
}

}  // namespace

void bench_ops(const OpBenchOptions& options) {
  const cuda::DeviceChoice choice = cuda::choose_device(options.device);
  const bool on_gpu = choice.device.type == DeviceType::cuda;
  for (const std::string& name : options.variants) check_variant(options, name);
  bool known = false;
  kernels::for_each_op([&](const auto& op) { known |= is_wanted(options, op.name); });
  check_input(known, "--op {}: no op has that in its name", fmt::join(options.ops, ","));
  if (!options.json.empty()) OutputCheck(options.force).writes("--json", options.json);
  fmt::print("{}\n", choice.line);
  Json document, rows = Json::array();
  document["info"] = kWrittenHere;
  document["device"] = on_gpu ? cuda::device_info(choice.device.index).name : "cpu";
  document["capability"] = on_gpu ? Json(cuda::device_info(choice.device.index).capability) : Json();
  document["version"] = options.version;
  document["date"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  int failures = 0;
  kernels::for_each_op([&](const auto& op) {
    if (!is_wanted(options, op.name)) return;
    failures += bench_op(options, choice.device, op, rows);
    // Written after each op, so that the results remain if a later op ends the program.
    if (!options.json.empty()) write_atomically(options.json, text_of(document, rows));
  });
  check(failures == 0, "{} measurements failed, see above", failures);
}

}  // namespace rcnn
