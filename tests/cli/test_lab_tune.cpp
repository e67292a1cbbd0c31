// `rcnn lab tune` and --plans, from a capture to a model that runs with the plans.
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kModel = {"--model=nano-fpn", "--batch=1",   "--height=64",  "--width=64",
                                         "--steps=1",        "--warm-up=0", "--device=cpu", "--threads=1"};

std::vector<std::string> words(std::vector<std::string> first, const std::vector<std::string>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// Makes every plan of the file run the call's slowest variant, and returns how many there are.
size_t take_the_slowest(const std::filesystem::path& file) {
  Json json = Json::parse(content_of(file));
  for (auto& call : json["calls"]) {
    Json slowest = call["times"][0];
    for (const auto& time : call["times"])
      if (time["ms"].get<double>() > slowest["ms"].get<double>()) slowest = time;
    if (slowest["variant"] == call["preferred"]) slowest = call["times"][1];
    call["plan"] = {{"variant", slowest["variant"]}};
  }
  write_text(file, json.dump());
  return json["calls"].size();
}

}  // namespace

TEST_CASE("lab tune: from a capture to a model that runs with the plans") {
  const ProgramTrial trial;
  if (!trial) return;
  const std::string shapes = trial.path("shapes.json"), plans = trial.path("plans.json");
  const Finished captured = trial.run(words({"profile", "--no-values", "--capture", shapes}, kModel));
  REQUIRE_MESSAGE(captured.status == 0, captured.err);
  const std::vector<std::string> tune = {"lab",     "tune", "conv2d",       "--shapes",    shapes,
                                         "--plans", plans,  "--device=cpu", "--threads=1", "--seconds=0.001"};
  const Finished tuned = trial.run(tune);
  REQUIRE_MESSAGE(tuned.status == 0, tuned.err);
  CHECK(contains(tuned.out,
                 "conv2d 1x64x64x3, 16 filters of 3x3, stride 2, pad 1, dilation 1: 1 call of a step"));
  CHECK(contains(tuned.out, "shapes run in another way than without plans"));
  CHECK(!contains(tuned.out, "conv2d_dx"));
  const Json written = Json::parse(content_of(plans));
  CHECK(written["info"] == "written by rcnn.cu");
  REQUIRE(!written["calls"].empty());
  for (const auto& call : written["calls"]) {
    CHECK(call["op"] == "conv2d");
    CHECK(call["threads"] == 1);
    CHECK(call["times"].size() >= 2);
    CHECK(!call["device"].get<std::string>().empty());
  }
  const size_t count = take_the_slowest(plans);
  // Every call of the model that has a plan runs as it says.
  const std::string again = trial.path("again.json");
  const Finished with =
      trial.run(words({"profile", "--no-values", "--capture", again, "--plans", plans}, kModel));
  CHECK_MESSAGE(with.status == 0, with.err);
  CHECK(contains(with.out, fmt::format("{}: {} of {} plans are used\n", plans, count, count)));
  std::map<std::string, std::string> planned;
  const Json file = Json::parse(content_of(plans)), captured_again = Json::parse(content_of(again));
  for (const auto& call : file["calls"]) planned[call["shape"]] = call["plan"]["variant"];
  size_t checked = 0;
  for (const auto& op : captured_again["ops"]) {
    if (op["op"] != "conv2d") continue;
    const Json& s = op["case"]["shape"];
    const auto size = [&](const char* key) { return s[key].get<int>(); };
    const auto plan = planned.find(fmt::format(
        "{}x{}x{}x{}, {} filters of {}x{}, stride {}, pad {}, dilation {}", size("n"), size("h"), size("w"),
        size("c"), size("k"), size("r"), size("s"), size("stride"), size("pad"), size("dilation")));
    if (plan == planned.end()) continue;
    CHECK(op["variant"] == plan->second);
    ++checked;
  }
  CHECK(checked >= count);

  const auto bench = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = words({"bench", "model", "--what=train_step"}, more);
    all.insert(all.end(), kModel.begin(), std::prev(kModel.end()));  // without --threads
    const Finished found = trial.run(all);
    CHECK_MESSAGE(found.status == 0, found.err);
    return found;
  };
  CHECK(contains(bench({"--plans", plans, "--threads=1"}).out, "plans are used"));
  CHECK(!contains(bench({"--threads=1"}).out, "plans are used"));
  // With --json, standard output has JSON alone.
  const Finished as_json = bench({"--plans", plans, "--json", "--threads=1"});
  CHECK(as_json.out.starts_with("{"));
  CHECK(contains(as_json.err, "plans are used"));
  // With another number of threads none holds.
  CHECK(contains(
      bench({"--plans", plans, "--threads=2"}).out,
      fmt::format("0 of {} plans are used; ignored are {} for another number of threads", count, count)));

  // The file keeps what it has.
  Json other = Json::parse(content_of(plans));
  other["calls"][0]["device"] = "Another processor";
  write_text(plans, other.dump());
  CHECK(trial.run(tune).status == 0);
  CHECK(Json::parse(content_of(plans))["calls"].size() == count + 1);

  // One in the form of another version is replaced with --force only.
  const std::string later = R"({"info":"written by rcnn.cu","plans":2,"calls":[]})";
  write_text(plans, later);
  const Finished refused = trial.run(tune);
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "`rcnn lab tune --force` begins such a file anew"));
  CHECK(content_of(plans) == later);
  const Finished forced = trial.run(words(tune, {"--force"}));
  CHECK_MESSAGE(forced.status == 0, forced.err);
  CHECK(contains(forced.out, plans + ": its plans had the form of another version; it begins anew\n"));
  CHECK(Json::parse(content_of(plans))["plans"] == 1);
  CHECK(Json::parse(content_of(plans))["calls"].size() == count);
}

TEST_CASE("lab tune: refusals, and the place of the file") {
  const ProgramTrial trial;
  if (!trial) return;
  const std::string shapes = trial.path("shapes.json"), plans = trial.path("plans.json");
  REQUIRE(trial.run(words({"profile", "--no-values", "--capture", shapes}, kModel)).status == 0);
  const std::string shapes_before = content_of(shapes);
  const auto refusal = [&](const std::vector<std::string>& more) {
    const Finished found = trial.run(words({"lab", "tune", "--seconds=0", "--device=cpu"}, more));
    CHECK(found.status == 2);
    CHECK(found.out.empty());
    return found.err;
  };
  CHECK(contains(refusal({"--plans", plans}), "--shapes is required"));
  CHECK(contains(refusal({"nms", "--shapes", shapes, "--plans", plans}), "nms: it takes no plans"));
  CHECK(contains(refusal({"conv", "--shapes", shapes, "--plans", plans}), "there is no op conv"));
  CHECK(contains(refusal({"--shapes", plans, "--plans", plans}), plans));
  CHECK(contains(refusal({"--shapes", shapes, "--plans", shapes, "--force"}), "--plans " + shapes));
  CHECK(contains(refusal({"--shapes", shapes, "--plans", trial.path("plans.txt")}), "--plans"));
  CHECK(content_of(shapes) == shapes_before);
  CHECK(!std::filesystem::exists(plans));
  write_text(plans, "{\"info\": \"written by rcnn.cu\", \"map50\": 0.5}");
  CHECK(contains(refusal({"--shapes", shapes, "--plans", plans}), "it has no plans of `lab tune`"));
  write_text(plans, "{\"info\": \"written by rcnn.cu\",\n \"plans\": 1,\n \"calls\": [");
  CHECK(contains(refusal({"--shapes", shapes, "--plans", plans}), "this is not JSON: parse error at line 3"));
  const Finished model = trial.run(words({"bench", "model", "--plans", plans}, kModel));
  CHECK(model.status == 2);
  CHECK(contains(model.err, plans + ": this is not JSON: parse error at line 3"));
  CHECK(content_of(plans) == "{\"info\": \"written by rcnn.cu\",\n \"plans\": 1,\n \"calls\": [");

  Environment environment;
  environment.set("XDG_CACHE_HOME", trial.path("caches"));
  const Finished made =
      trial.run({"lab", "tune", "matmul", "--shapes", shapes, "--seconds=0", "--device=cpu", "--threads=1"});
  CHECK_MESSAGE(made.status == 0, made.err);
  const std::string place = trial.path("caches") + "/rcnn/plans.json";
  CHECK(contains(made.out, place));
  CHECK(Json::parse(content_of(place))["plans"] == 1);
  // It is read only where it is named.
  CHECK(!contains(trial.run(words({"bench", "model", "--what=detect"}, kModel)).out, "plans are used"));
  // A file of plans is an input.
  const Finished over = trial.run(words({"profile", "--plans", place, "--trace", place, "--force"}, kModel));
  CHECK(over.status == 2);
  CHECK(Json::parse(content_of(place))["plans"] == 1);
}

TEST_CASE("train --plans: the checkpoint names plans that can change bits, and resuming without them warns") {
  const ProgramTrial trial;
  if (!trial) return;
  const std::string data = trial.path("scenes"), shapes = trial.path("shapes.json"),
                    plans = trial.path("plans.json");
  REQUIRE(trial.run({"synth", "--out", data, "--count", "12"}).status == 0);
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    const Finished found =
        trial.run(words({"train", "--data", data, "--out", trial.path(out), "--short-side=64", "--batch=2",
                         "--steps=6", "--val=none", "--test=none", "--threads=1", "--device=cpu"},
                        more));
    CHECK_MESSAGE(found.status == 0, found.err);
    return found.out;
  };
  const auto numerics = [&](const std::string& out) {
    const std::string file = content_of(trial.path(out) + "/last.safetensors").substr(0, 65536);
    const size_t at = file.find("\"numerics\":\"");
    REQUIRE(at != std::string::npos);
    return file.substr(at + 12, file.find('"', at + 12) - at - 12);
  };
  train("a", {"--capture", shapes});
  CHECK(!contains(numerics("a"), "plans"));
  REQUIRE(trial
              .run({"lab", "tune", "conv2d", "--shapes", shapes, "--plans", plans, "--device=cpu",
                    "--threads=1", "--seconds=0"})
              .status == 0);
  take_the_slowest(plans);
  const std::string log = train("b", {"--plans", plans});
  CHECK(contains(log, "plans are used"));
  CHECK(contains(numerics("b"), ", plans "));
  CHECK(contains(content_of(trial.path("b") + "/summary.json"), numerics("b")));
  // The same again gives the same bytes; without the plans it does not.
  const auto weights = [&](const std::string& out) {
    return content_of(trial.path(out) + "/best.safetensors");
  };
  train("c", {"--plans", plans});
  CHECK(weights("b") == weights("c"));
  CHECK(weights("b") != weights("a"));
  const std::string resumed = train("b", {"--resume"});
  CHECK(contains(resumed, "warning: the checkpoint was written with " + numerics("c")));
  CHECK(!contains(train("c", {"--resume", "--plans", plans}), "warning: the checkpoint"));
}
