#include "bench/lab_results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/counted.h"
#include "core/files/output.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json known_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

/// Null on the CPU and for a simulated GPU.
Json json_of(const GpuCard& card) {
  if (!card.unknown.empty()) return {{"unknown", card.unknown}};
  if (card.driver.empty()) return {};
  return {{"driver", card.driver},
          {"power_limit_w", known_or_null(card.power_limit_w)},
          {"max_sm_mhz", known_or_null(card.max_sm_mhz)},
          {"max_memory_mhz", known_or_null(card.max_memory_mhz)}};
}

/// Adds what is known of the card right after the runs.
void add_state(Json& entry, const GpuState& gpu) {
  if (gpu.sm_mhz) entry["sm_mhz"] = *gpu.sm_mhz;
  if (gpu.memory_mhz) entry["memory_mhz"] = *gpu.memory_mhz;
  if (gpu.power_w) entry["power_w"] = *gpu.power_w;
  if (gpu.temperature_c) entry["temperature_c"] = *gpu.temperature_c;
  if (!gpu.throttled.empty()) entry["throttled"] = gpu.throttled;
}

}  // namespace

std::string machine_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown processor";
}

#ifndef RCNN_NVCC
#define RCNN_NVCC ""  // the Makefile's CUDA=1 has ", nvcc 13.0"
#endif

std::string toolchain_name() {
#if defined(__clang__)
  return "clang " __clang_version__ RCNN_NVCC;
#else
  return "GCC " __VERSION__ RCNN_NVCC;
#endif
}

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::string lab_json(const LabRun& run, const std::vector<TimedRow>& rows) {
  Json document;
  document["info"] = kWrittenHere;
  document["device"] = run.device;
  document["capability"] = run.capability > 0 ? Json(run.capability) : Json();
  document["machine"] = run.machine;
  document["threads"] = run.threads;
  document["toolchain"] = run.toolchain;
  document["commit"] = run.commit;
  document["version"] = run.version;
  document["date"] = run.date;
  Json roofs;
  roofs["copy_gbs"] = run.roofs.copy > 0 ? Json(run.roofs.copy * 1e-9) : Json();
  for (const auto& [precision, rate] : run.roofs.products) roofs[name_of(precision)] = rate * 1e-9;
  document["roofs"] = roofs;
  document["gpu"] = json_of(run.card);
  if (run.step)
    document["step"] = {{"file", run.step->file},
                        {"what", run.step->what},
                        {"ms", run.step->ms},
                        {"in_turn_ms", run.step->in_turn_ms > 0 ? Json(run.step->in_turn_ms) : Json()},
                        {"alone_ms", run.step->alone_ms},
                        {"fastest_ms", run.step->fastest_ms},
                        {"captured_ms", run.step->captured_ms},
                        {"entries", run.step->entries},
                        {"of", run.step->of}};
  std::string text = "{";
  for (const auto& [key, value] : document.items()) text += Json(key).dump() + ": " + value.dump() + ",\n ";
  text += "\"ops\": [";
  bool first = true;
  for (const TimedRow& row : rows) {
    Json entry{{"op", row.op},           {"case", row.case_index},
               {"variant", row.variant}, {"precision", name_of(row.precision)},
               {"inputs", row.inputs},   {"outputs", row.outputs}};
    if (run.step) entry["calls"] = row.calls, entry["chosen"] = row.chosen;
    if (row.error.empty()) {
      const Timing& t = row.timing;
      entry["graph"] = t.graph;
      entry["ms"] = t.seconds * 1e3;
      entry["p10_ms"] = t.p10 * 1e3;
      entry["p90_ms"] = t.p90 * 1e3;
      entry["noise"] = t.noise;
      entry["samples"] = t.samples;
      entry["flop"] = row.flop > 0 ? Json(row.flop) : Json();
      entry["bytes"] = row.bytes;
      entry["gflops"] = row.flop > 0 ? Json(row.flop / t.seconds * 1e-9) : Json();
      entry["gbs"] = row.bytes / t.seconds * 1e-9;
      entry["roof"] = row.share > 0 ? Json(row.share) : Json();
      entry["library"] = row.library > 0 ? Json(row.library) : Json();
      if (const Timing& cold = row.cold; cold.samples > 0) {
        entry["cold_ms"] = cold.seconds * 1e3;
        entry["cold_p10_ms"] = cold.p10 * 1e3;
        entry["cold_p90_ms"] = cold.p90 * 1e3;
        entry["cold_noise"] = cold.noise;
      }
      add_state(entry, row.gpu);
    } else {
      entry["error"] = row.error;
    }
    text += (first ? "\n  " : ",\n  ") + entry.dump();
    first = false;
  }
  return text + "]}\n";
}

std::string throttled_text(const std::vector<std::vector<std::string>>& of_rows) {
  size_t count = 0;
  std::set<std::string> reasons;
  for (const auto& row : of_rows) {
    count += !row.empty();
    reasons.insert(row.begin(), row.end());
  }
  return count == 0 ? ""
                    : fmt::format("{} of {} measurements with clocks that were held back ({})", count,
                                  of_rows.size(), fmt::join(reasons, ", "));
}

std::string lab_markdown(const LabRun& run, const std::vector<TimedRow>& rows) {
  std::string text = fmt::format("<!-- {} -->\n\nMeasured on {} ({}), {}, {}, commit {}, {}.\n", kWrittenHere,
                                 run.device == "cpu" ? run.machine : run.device, run.device,
                                 counted(run.threads, "thread"), run.toolchain, run.commit, run.date);
  if (!run.card.driver.empty() || !run.card.unknown.empty()) text += card_text(run.card) + ".\n";
  std::vector<std::vector<std::string>> throttled;
  for (const TimedRow& row : rows) throttled.push_back(row.gpu.throttled);
  if (const std::string held = throttled_text(throttled); !held.empty()) text += held + ".\n";
  if (!run.roofs.text.empty()) text += fmt::format("Limits measured in the same run: {}.\n", run.roofs.text);
  if (const auto& step = run.step)
    text += fmt::format(
        "The cases are calls of {}, a {} of {:.2f} ms. {} of its {} entries took {:.2f} ms of it. Now each, "
        "repeated alone, takes {:.2f} ms with the variants that the program chooses and {:.2f} ms with the "
        "fastest{}.\n",
        step->file, step->what, step->ms, step->entries, step->of, step->captured_ms, step->alone_ms,
        step->fastest_ms,
        step->in_turn_ms > 0 ? fmt::format("; all of them in turn take {:.2f} ms", step->in_turn_ms) : "");
  const TimedRow* before = nullptr;
  for (const TimedRow& row : rows) {
    if (!before || before->op != row.op)
      text += fmt::format(
          "\n### {}\n\n| inputs | variant | precision | ms | p10 to p90 | noise | GFLOP/s | GB/s | "
          "of the roof | of the library |\n|{}\n",
          row.op, " --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    const bool same_case = before && before->op == row.op && before->case_index == row.case_index;
    before = &row;
    const std::string inputs = same_case ? "" : shapes_text(row.inputs);
    if (!row.error.empty()) {
      text +=
          fmt::format("| {} | {} | {} | failed | | | | | | |\n", inputs, row.variant, name_of(row.precision));
      continue;
    }
    const Timing& t = row.timing;
    const auto if_known = [](bool known, const std::string& cell) { return known ? cell : std::string(); };
    text += fmt::format(
        "| {} | {} | {} | {:.4g} | {:.4g} to {:.4g} | {:.1f} % | {} | {:.1f} | {} | {} |\n", inputs,
        row.variant, name_of(row.precision), t.seconds * 1e3, t.p10 * 1e3, t.p90 * 1e3, t.noise * 100,
        if_known(row.flop > 0, fmt::format("{:.1f}", row.flop / t.seconds * 1e-9)),
        row.bytes / t.seconds * 1e-9, if_known(row.share > 0, fmt::format("{:.0f} %", row.share * 100)),
        if_known(row.library > 0, fmt::format("{:.2f}", row.library)));
  }
  return text;
}

}  // namespace rcnn
