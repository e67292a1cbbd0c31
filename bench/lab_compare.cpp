// `rcnn lab compare`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/case_json.h"
#include "bench/lab_results.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/text.h"

namespace rcnn {
namespace {

using Json = nlohmann::json;

struct ComparedTime {
  std::string name = {};  // "roi_align=mine, case 2, f32"
  double ms = 0, p10 = 0, noise = 0;
  std::vector<std::string> throttled = {};  // what held back the clocks of the card
  bool failed = false;
};

struct ResultFile {
  std::string machine, device;
  int threads = 0;
  std::map<std::string, ComparedTime> rows;  // by op, shapes, variant and precision
};

ResultFile read_results(const std::filesystem::path& path) {
  ResultFile results;
  try {
    const Json document = json_of_file<Json>(path);
    results.machine = printable(document.at("machine").get<std::string>());
    results.device = printable(document.at("device").get<std::string>());
    results.threads = document.at("threads").get<int>();
    for (const Json& row : document.at("ops")) {
      const auto op = row.at("op").get<std::string>(), variant = row.at("variant").get<std::string>(),
                 precision = row.at("precision").get<std::string>();
      const auto number = row.at("case").get<int>();
      ComparedTime& time =
          results
              .rows[fmt::format("{} {} {} {} {}", op, number, row.at("inputs").dump(), variant, precision)];
      time.name = printable(fmt::format("{}={}, case {}, {}", op, variant, number, precision));
      if (row.contains("error")) {
        time.failed = true;
        continue;
      }
      time.ms = row.at("ms").get<double>();
      time.p10 = row.at("p10_ms").get<double>();
      // JSON has no infinity: the noise of a single sample is null.
      time.noise = row.at("noise").is_null() ? 1 : row.at("noise").get<double>();
      if (row.contains("throttled"))
        for (const Json& reason : row["throttled"])
          time.throttled.push_back(printable(reason.get<std::string>()));
      check_input(time.ms > 0 && time.p10 > 0 && time.noise >= 0 && time.noise <= 10,
                  "{}: {}: expected times above 0 and a noise from 0 to 10, found {} ms, p10 {} ms and {}",
                  path.string(), time.name, time.ms, time.p10, time.noise);
    }
  } catch (const Json::exception& error) {
    // The library's sentence follows its own name and number in brackets.
    const std::string_view what = error.what();
    throw InputError(fmt::format("{}: expected a file of `rcnn lab time --json`, found something else: {}",
                                 path.string(), what.substr(std::min(what.find("] ") + 2, what.size()))));
  }
  return results;
}

/// Of the rows of a file that were timed.
std::string throttled_rows(const ResultFile& results) {
  std::vector<std::vector<std::string>> reasons;
  for (const auto& [key, time] : results.rows)
    if (!time.failed) reasons.push_back(time.throttled);
  return throttled_text(reasons);
}

/// A warning if a card was held back in one of the files: what changed may be the card.
void print_throttling(const std::filesystem::path& base, const ResultFile& before,
                      const std::filesystem::path& fresh, const ResultFile& after) {
  const std::string first = throttled_rows(before), second = throttled_rows(after);
  for (const auto& [path, text] : {std::pair(&base, &first), {&fresh, &second}})
    if (!text->empty()) fmt::print("warning: {} has {}\n", path->string(), *text);
  if (first.empty() != second.empty())
    fmt::print(
        "warning: the card was held back in one of the two files only: a difference may be the card's\n");
}

struct ComparedChange {
  std::string name;
  double before = 0, after = 0, ratio = 0, threshold = 0;
};

void print_changes(const char* what, std::vector<ComparedChange>& changes) {
  std::ranges::sort(changes, [](const auto& a, const auto& b) {
    return std::fabs(std::log(a.ratio)) > std::fabs(std::log(b.ratio));
  });
  for (const ComparedChange& change : changes)
    fmt::print("{} {}: {:.4g} ms, was {:.4g} ({:+.1f} %; changes up to {:.1f} % may be noise)\n", what,
               change.name, change.after, change.before, (change.ratio - 1) * 100, change.threshold * 100);
}

/// Names what only `one` has: a variant that is gone must not look like one that has not changed.
void print_missing(const char* what, const ResultFile& one, const ResultFile& other) {
  constexpr size_t kNamed = 10;
  std::vector<std::string> names;
  for (const auto& [key, time] : one.rows)
    if (!other.rows.contains(key)) names.push_back(time.name);
  for (size_t i = 0; i < std::min(kNamed, names.size()); ++i) fmt::print("{:<8}{}\n", what, names[i]);
  if (names.size() > kNamed) fmt::print("{:<8}{} more\n", what, names.size() - kNamed);
}

}  // namespace

LabComparison compare_lab_results(const std::filesystem::path& base, const std::filesystem::path& fresh) {
  const ResultFile before = read_results(base), after = read_results(fresh);
  if (before.machine != after.machine || before.device != after.device || before.threads != after.threads)
    fmt::print("note: {} was measured on {} ({}, {}), {} on {} ({}, {})\n", base.string(), before.machine,
               before.device, counted(before.threads, "thread"), fresh.string(), after.machine, after.device,
               counted(after.threads, "thread"));
  print_throttling(base, before, fresh, after);
  LabComparison result;
  std::vector<ComparedChange> slower, faster;
  for (const auto& [key, time] : after.rows) {
    const auto found = before.rows.find(key);
    if (found == before.rows.end()) {
      ++result.missing;
      continue;
    }
    const ComparedTime& old = found->second;
    if (time.failed && !old.failed) {
      fmt::print("FAILED  {}: it was timed before\n", time.name);
      ++result.failed;
    }
    if (time.failed || old.failed) continue;
    const double threshold = min_change(time.noise, old.noise);
    const double ratio = time.ms / old.ms, low_ratio = time.p10 / old.p10;
    if (ratio > 1 + threshold && low_ratio > 1 + threshold)
      slower.push_back({time.name, old.ms, time.ms, ratio, threshold});
    else if (ratio < 1 / (1 + threshold) && low_ratio < 1 / (1 + threshold))
      faster.push_back({time.name, old.ms, time.ms, ratio, threshold});
    else
      ++result.same;
  }
  for (const auto& [key, time] : before.rows) result.missing += !after.rows.contains(key);
  result.slower = static_cast<int>(slower.size());
  result.faster = static_cast<int>(faster.size());
  check_input(result.slower + result.faster + result.same + result.failed > 0,
              "{} and {} have no measurement in common", base.string(), fresh.string());
  print_changes("slower ", slower);
  print_changes("faster ", faster);
  print_missing("gone", before, after);
  print_missing("new", after, before);
  fmt::print("{} slower, {} faster, {} within the noise, {} failed, {} in one of the files only\n",
             result.slower, result.faster, result.same, result.failed, result.missing);
  return result;
}

}  // namespace rcnn
