// What NVIDIA's management library tells of a card, with a double of it (tests/bench/doubles/nvml.c).
#include "bench/gpu_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/lab_results.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Reasons = std::vector<std::string>;

/// The double as a library in a folder; false, after a message, without a compiler or outside of a checkout.
struct Double {
  TemporaryFolder folder;
  Environment environment;
  std::string file = (folder / "libnvml_double.so").string();

  bool made(const std::vector<std::string>& more = {}) {
    environment.remove("RCNN_VENDOR_LIBRARIES");
    std::vector<std::string> words = {"gcc", "-shared", "-fPIC", "-o", file, "tests/bench/doubles/nvml.c"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished compiled = run_program("/usr/bin/env", words);
    if (compiled.status == 0) return true;
    CHECK_MESSAGE((compiled.status == 127 || !std::filesystem::exists("tests/bench/doubles/nvml.c")),
                  compiled.err);
    MESSAGE("skipped: the double of NVML cannot be compiled");
    return false;
  }
};

TimedRow row_with(const std::string& op, const Reasons& throttled) {
  return {.op = op,
          .variant = "x",
          .bytes = 1,
          .timing = {.seconds = 1e-3, .p10 = 1e-3, .p90 = 1e-3, .noise = 0.01, .samples = 9},
          .gpu = {.sm_mhz = 1410, .power_w = 698.5, .throttled = throttled}};
}

}  // namespace

TEST_CASE("gpu state: clocks, power and what holds the clocks back, by a double of NVML") {
  Double nvml;
  if (!nvml.made()) return;
  const GpuWatch watch("0000:3b:00.0", nvml.file.c_str());
  const GpuCard& card = watch.card();
  CHECK(card.unknown.empty());
  CHECK(card.driver == "550.54.15");
  CHECK(card.max_sm_mhz == 1980);
  CHECK(card.max_memory_mhz == 2619);
  CHECK(card.power_limit_w == 700.0);
  CHECK(card_text(card) == "NVML: driver 550.54.15, power limit 700 W, clocks of up to 1980 MHz");
  const GpuState now = watch.now();
  CHECK(now.sm_mhz == 1410);
  CHECK(now.memory_mhz == 2619);
  CHECK(now.power_w == 698.5);
  CHECK(!now.temperature_c);  // the card does not tell it
  CHECK(now.throttled == Reasons{"power limit", "heat"});
}

TEST_CASE("gpu state: without NVML, or with a card that it does not know, the record says so") {
  Double nvml;
  if (!nvml.made()) return;
  const GpuWatch none("0000:3b:00.0", "libnvml_of_no_machine.so.1");
  CHECK(none.card().unknown.starts_with("NVML is not available: libnvml_of_no_machine.so.1: cannot open"));
  CHECK(card_text(none.card()).ends_with("; clocks and throttling are not recorded"));
  CHECK(!none.now().sm_mhz);
  CHECK(none.now().throttled.empty());
  const GpuWatch other("0000:5e:00.0", nvml.file.c_str());
  CHECK(other.card().unknown == "NVML does not know the card at 0000:5e:00.0: Not Found");
  CHECK(!other.now().sm_mhz);
  if (!nvml.made({"-DWITHOUT_REASONS", "-Wl,-soname,older"})) return;
  std::filesystem::rename(nvml.file, nvml.folder / "older.so");
  const GpuWatch older("0000:3b:00.0", (nvml.folder / "older.so").c_str());
  CHECK(older.card().unknown == "NVML has no function nvmlDeviceGetCurrentClocksThrottleReasons");
  CHECK(older.card().driver.empty());
  CHECK(place_on_bus(Device{}).empty());
}

TEST_CASE("lab time: the results hold the clocks of the card, and lab compare warns of those held back") {
  const TemporaryFolder folder;
  LabRun run;
  run.device = "A card", run.machine = "Made-up processor";
  const auto file = [&](const char* name, const std::vector<TimedRow>& rows) {
    write_text(folder / name, lab_json(run, rows));
    return folder / name;
  };
  const auto on_cpu = nlohmann::json::parse(lab_json(run, {}));
  CHECK(on_cpu.at("gpu").is_null());
  run.card.unknown = "NVML is not available";
  CHECK(nlohmann::json::parse(lab_json(run, {})).at("gpu").at("unknown") == "NVML is not available");
  run.card = {.driver = "550.54.15", .max_sm_mhz = 1980, .power_limit_w = 700};
  const auto held = file("held.json", {row_with("a", {"power limit"}), row_with("b", {})}),
             again = file("again.json", {row_with("a", {"heat"}), row_with("b", {"power limit", "heat"})}),
             free = file("free.json", {row_with("a", {}), row_with("b", {})});
  const auto document = nlohmann::json::parse(content_of(held));
  CHECK(document["gpu"] == nlohmann::json::parse(R"({"driver": "550.54.15", "power_limit_w": 700.0,
                                                     "max_sm_mhz": 1980, "max_memory_mhz": null})"));
  CHECK(document["ops"][0]["sm_mhz"] == 1410);
  CHECK(document["ops"][0]["power_w"] == 698.5);
  CHECK(!document["ops"][0].contains("temperature_c"));
  CHECK(document["ops"][0]["throttled"] == Reasons{"power limit"});
  CHECK(!document["ops"][1].contains("throttled"));
  CHECK(contains(
      lab_markdown(run, {row_with("a", {"heat"})}),
      "NVML: driver 550.54.15, power limit 700 W, clocks of up to 1980 MHz.\n1 of 1 measurements with "
      "clocks that were held back (heat).\n"));

  const std::filesystem::path program = find_program();
  if (program.empty()) return;
  const auto compared = [&](const std::filesystem::path& base, const std::filesystem::path& fresh) {
    const Finished found = run_program(program, {"lab", "compare", base.string(), fresh.string()});
    CHECK(found.status == 0);
    return found.out;
  };
  const std::string one_of_both =
      "warning: the card was held back in one of the two files only: a difference may be the card's\n";
  const std::string one = compared(free, held);
  CHECK(contains(one, "warning: " + held.string() +
                          " has 1 of 2 measurements with clocks that were held back (power limit)\n"));
  CHECK(contains(one, one_of_both));
  CHECK(contains(compared(held, free), one_of_both));
  CHECK(contains(compared(held, again),
                 "has 2 of 2 measurements with clocks that were held back (heat, power limit)"));
  CHECK(!contains(compared(held, again), one_of_both));
  CHECK(!contains(compared(free, free), "warning"));
}
