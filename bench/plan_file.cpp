#include "bench/plan_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

#include "bench/case_json.h"
#include "bench/lab_results.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/files/sha256.h"
#include "core/parallel.h"
#include "kernels/gemm/mma_plan.h"
#include "kernels/ops.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using kernels::CallPlan;

/// Reads the members of an object of the file; a sentence names the object.
struct Reader {
  const fs::path& path;
  std::string where;
  const Json& object;

  template <class T>
  T get(const char* key) const {
    constexpr bool is_text = std::is_same_v<T, std::string>;
    const bool fits = object.is_object() && object.contains(key) &&
                      (is_text                 ? object[key].is_string()
                       : std::is_integral_v<T> ? object[key].is_number_integer()
                                               : object[key].is_number());
    check_input(fits, "{}: {}: there is no {} \"{}\"", path.string(), where, is_text ? "text" : "number",
                key);
    return object[key].template get<T>();
  }
  /// A time or a noise.
  double positive(const char* key, double max) const {
    const double value = get<double>(key);
    check_input(value >= 0 && value <= max, "{}: {}: expected \"{}\" from 0 to {}, found {}", path.string(),
                where, key, max, value);
    return value;
  }
  CallPlan plan() const {
    return {get<std::string>("variant"), object.contains("cut") ? get<std::string>("cut") : std::string()};
  }
};

PlanEntry read_entry(const fs::path& path, const Json& object, size_t number) {
  constexpr double kMaxMs = 1e9, kMaxNoise = 1e6;
  const Reader in{path, fmt::format("entry {} of \"calls\"", number), object};
  PlanEntry entry;
  entry.place = {in.get<std::string>("device"), in.get<int>("threads"), in.get<std::string>("version")};
  entry.call = {in.get<std::string>("op"), in.get<std::string>("shape"), in.get<std::string>("preferred")};
  entry.precision = in.get<std::string>("precision");
  entry.date = in.get<std::string>("date");
  check_input(object.contains("plan") && object.contains("times") && object["times"].is_array(),
              "{}: {}: there is no \"plan\", or no list \"times\"", path.string(), in.where);
  entry.plan = Reader{path, in.where + ", \"plan\"", object["plan"]}.plan();
  for (const Json& time : object["times"]) {
    const Reader of{path, in.where + ", \"times\"", time};
    entry.times.push_back({of.plan(), of.positive("ms", kMaxMs), of.positive("p10_ms", kMaxMs),
                           of.positive("noise", kMaxNoise)});
  }
  const bool known =
      std::ranges::any_of(entry.times, [&](const TimedPlan& timed) { return timed.plan == entry.plan; });
  check_input(
      known && entry.times.front().plan.variant == entry.call.preferred,
      "{}: {}: \"times\" does not begin with the variant that is \"preferred\", or lacks the \"plan\"",
      path.string(), in.where);
  return entry;
}

Json json_of(const CallPlan& plan) {
  Json json{{"variant", plan.variant}};
  if (!plan.cut.empty()) json["cut"] = plan.cut;
  return json;
}

std::string text_of(const PlanEntry& entry) {
  const auto rounded = [](double ms) { return std::round(ms * 1e6) / 1e6; };
  Json json{{"device", entry.place.device},
            {"threads", entry.place.threads},
            {"version", entry.place.version},
            {"date", entry.date},
            {"op", entry.call.op},
            {"shape", entry.call.shape},
            {"precision", entry.precision},
            {"preferred", entry.call.preferred},
            {"plan", json_of(entry.plan)},
            {"times", Json::array()}};
  for (const TimedPlan& timed : entry.times) {
    Json time = json_of(timed.plan);
    time["ms"] = rounded(timed.ms);
    time["p10_ms"] = rounded(timed.p10_ms);
    time["noise"] = std::isfinite(timed.noise) ? std::round(timed.noise * 1e4) / 1e4 : 1;
    json["times"].push_back(time);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Whether this program has the variant and the cut of the plan.
bool exists(const std::string& op_name, const CallPlan& plan) {
  bool found = false;
  kernels::for_each_op([&](const auto& op) {
    if (op_name != op.name) return;
    for (const auto& variant : op.variants) found |= plan.variant == variant.name && variant.run != nullptr;
  });
  return found && (plan.cut.empty() || kernels::mma::plan_of_cut(plan.cut));
}

int parts_of_cut(const std::string& cut) {
  const auto plan = kernels::mma::plan_of_cut(cut);
  return plan ? plan->parts : 0;
}

}  // namespace

PlanPlace place_of(Device device, const std::string& version) {
  if (device.type == DeviceType::cuda) return {cuda::device_info(device.index).name, 0, version};
  return {machine_name(), thread_count(), version};
}

bool changes_bits(const PlanEntry& entry) {
  const CallPlan& without = entry.times.front().plan;
  return entry.plan.variant != without.variant || parts_of_cut(entry.plan.cut) != parts_of_cut(without.cut);
}

std::vector<PlanEntry> read_plan_file(const fs::path& path) {
  const Json json = json_of_file<Json>(path, true);
  check_input(json.is_object() && json.contains("plans") && json["plans"] == 1 && json.contains("calls") &&
                  json["calls"].is_array(),
              "{}: this is no file of plans, as `rcnn lab tune` writes it", path.string());
  std::vector<PlanEntry> entries;
  for (size_t i = 0; i < json["calls"].size(); ++i) entries.push_back(read_entry(path, json["calls"][i], i));
  return entries;
}

void add_to_plan_file(const fs::path& path, const std::vector<PlanEntry>& entries) {
  std::map<std::tuple<PlanPlace, kernels::PlannedCall>, PlanEntry> all;
  std::error_code none;
  if (const auto size = fs::file_size(path, none); !none && size > 0)
    for (PlanEntry& entry : read_plan_file(path)) all[{entry.place, entry.call}] = std::move(entry);
  for (const PlanEntry& entry : entries) all[{entry.place, entry.call}] = entry;
  std::string text = fmt::format("{{\"info\": \"{}\",\n \"plans\": 1,\n \"calls\": [", kWrittenHere);
  for (bool first = true; const auto& [key, entry] : all) {
    text += (first ? "\n  " : ",\n  ") + text_of(entry);
    first = false;
  }
  write_atomically(path, text + "]}\n");
}

std::shared_ptr<const kernels::Plans> load_plans(const fs::path& path, const PlanPlace& place) {
  const auto plans = std::make_shared<kernels::Plans>();
  struct Reason {
    const char* text;
    size_t count = 0;
  };
  Reason device{"for another processor or card"}, threads{"for another number of threads"},
      version{"of another version of the program"}, gone{"of variants that this program does not have"};
  std::map<kernels::PlannedCall, const PlanEntry*> used;
  const std::vector<PlanEntry> entries = read_plan_file(path);
  for (const PlanEntry& entry : entries) {
    Reason* const reason = entry.place.device != place.device     ? &device
                           : entry.place.threads != place.threads ? &threads
                           : entry.place.version != place.version ? &version
                           : exists(entry.call.op, entry.plan)    ? nullptr
                                                                  : &gone;
    if (reason) {
      ++reason->count;
      continue;
    }
    used[entry.call] = &entry;
  }
  std::string of_bits;
  for (const auto& [call, entry] : used) {
    plans->calls[call] = entry->plan;
    if (changes_bits(*entry))
      of_bits += fmt::format("{}\n{}\n{}\n{}\n{}\n", call.op, call.shape, call.preferred, entry->plan.variant,
                             parts_of_cut(entry->plan.cut));
  }
  if (!of_bits.empty()) {
    Sha256 sha;
    sha.update(of_bits);
    plans->digest = sha.hex().substr(0, 8);
  }
  std::string reasons;
  for (const Reason* reason : {&device, &threads, &version, &gone})
    if (reason->count > 0)
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason->count, reason->text);
  plans->note =
      fmt::format("{}: {} of {} plans are used", path.string(), plans->calls.size(), entries.size());
  if (!reasons.empty()) plans->note += "; ignored are " + reasons;
  return plans;
}

fs::path default_plan_file() {
  const auto folder = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value && *value == '/' ? value : "";
  };
  fs::path cache = folder("XDG_CACHE_HOME");
  if (cache.empty() && !folder("HOME").empty()) cache = folder("HOME") / ".cache";
  check_input(
      !cache.empty(),
      "--plans is missing: neither XDG_CACHE_HOME nor HOME names a folder where the file could be kept");
  return cache / "rcnn" / "plans.json";
}

}  // namespace rcnn
