#include "bench/plan_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

#include "bench/json_file.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"

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
  /// The number of threads; 0 for a card.
  int threads() const {
    constexpr int64_t kMaxThreads = 1 << 20;
    const auto value = get<int64_t>("threads");
    const bool wraps =
        object["threads"].is_number_unsigned() && object["threads"].get<uint64_t>() > INT64_MAX;
    check_input(!wraps && value >= 0 && value <= kMaxThreads,
                "{}: {}: expected \"threads\" from 0 to {}, found {}", path.string(), where, kMaxThreads,
                object["threads"].dump());
    return static_cast<int>(value);
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
  entry.place = {in.get<std::string>("device"), in.threads(), in.get<std::string>("version")};
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

}  // namespace

std::vector<PlanEntry> read_plan_file(const fs::path& path) {
  const Json json = json_of_file<Json>(path, true);
  check_input(json.is_object() && json.contains("plans") && json["plans"].is_number(),
              "{}: this is no file of plans, as `rcnn lab tune` writes it", path.string());
  check_input(json["plans"] == 1,
              "{}: its form has the version {} (\"plans\"); this program reads version 1, and `rcnn lab tune "
              "--force` "
              "begins such a file anew, without the plans that it has",
              path.string(), json["plans"].dump());
  check_input(json.contains("calls") && json["calls"].is_array(), "{}: there is no list \"calls\"",
              path.string());
  std::vector<PlanEntry> entries;
  for (size_t i = 0; i < json["calls"].size(); ++i) entries.push_back(read_entry(path, json["calls"][i], i));
  return entries;
}

bool has_other_version(const fs::path& path) {
  std::error_code none;
  if (const auto size = fs::file_size(path, none); none || size == 0) return false;
  const Json json = json_of_file<Json>(path, true);
  return json.is_object() && json.contains("plans") && json["plans"].is_number() && json["plans"] != 1;
}

std::vector<ReplacedEntry> replaced_entries(const std::vector<PlanEntry>& entries) {
  std::map<std::tuple<PlanPlace, kernels::PlannedCall>, size_t> last;
  for (size_t i = 0; i < entries.size(); ++i) last[{entries[i].place, entries[i].call}] = i;
  std::vector<ReplacedEntry> replaced;
  for (size_t i = 0; i < entries.size(); ++i)
    if (const size_t by = last[{entries[i].place, entries[i].call}]; by != i) replaced.push_back({i, by});
  return replaced;
}

std::string replaced_text(const std::vector<ReplacedEntry>& replaced) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(replaced.size(), kShown); ++i)
    text += fmt::format("{}entry {} by entry {}", i == 0 ? "" : ", ", replaced[i].entry, replaced[i].by);
  return replaced.size() > kShown ? text + ", ..." : text;
}

std::string plan_file_text(const std::vector<PlanEntry>& entries) {
  std::map<std::tuple<PlanPlace, kernels::PlannedCall>, const PlanEntry*> all;
  for (const PlanEntry& entry : entries) all[{entry.place, entry.call}] = &entry;
  std::string text = fmt::format("{{\"info\": \"{}\",\n \"plans\": 1,\n \"calls\": [", kWrittenHere);
  for (bool first = true; const auto& [key, entry] : all) {
    text += (first ? "\n  " : ",\n  ") + text_of(*entry);
    first = false;
  }
  return text + "]}\n";
}

std::vector<ReplacedEntry> add_to_plan_file(const fs::path& path, const std::vector<PlanEntry>& entries) {
  std::vector<PlanEntry> all;
  std::error_code none;
  if (const auto size = fs::file_size(path, none); !none && size > 0) all = read_plan_file(path);
  const std::vector<ReplacedEntry> replaced = replaced_entries(all);
  all.insert(all.end(), entries.begin(), entries.end());
  write_atomically(path, plan_file_text(all));
  return replaced;
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
