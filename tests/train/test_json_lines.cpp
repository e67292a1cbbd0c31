#include "train/json_lines.h"

#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ordered_json line(int64_t step) { return {{"step", step}, {"loss", 0.5}}; }

/// What remains of the file `before` when a run is resumed after `step` steps.
std::string resumed(const std::string& before, int64_t step) {
  const TemporaryFolder folder;
  write_text(folder / "metrics.jsonl", before);
  JsonLines::resume(folder / "metrics.jsonl", step);
  return content_of(folder / "metrics.jsonl");
}

}  // namespace

TEST_CASE("json lines: a line is in the file as soon as it is written") {
  const TemporaryFolder folder;
  JsonLines lines = JsonLines::create(folder / "metrics.jsonl");
  lines.write(line(1));
  CHECK(content_of(folder / "metrics.jsonl") == "{\"step\":1,\"loss\":0.5}\n");
  lines.write({{"step", 2}, {"loss", NAN}, {"text", "a\nb\xFF"}});
  CHECK(content_of(folder / "metrics.jsonl") ==
        "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":null,\"text\":\"a\\nb\xEF\xBF\xBD\"}\n");
  JsonLines::create(folder / "metrics.jsonl");
  CHECK(content_of(folder / "metrics.jsonl").empty());
}

TEST_CASE("json lines: the file of a resumed run equals that of an uninterrupted one") {
  const TemporaryFolder folder;
  {
    JsonLines whole = JsonLines::create(folder / "whole");
    for (int64_t step = 1; step <= 9; ++step) whole.write(line(step));
    JsonLines stopped = JsonLines::create(folder / "stopped");
    for (int64_t step = 1; step <= 7; ++step) stopped.write(line(step));
  }
  std::ofstream(folder / "stopped", std::ios::app) << "{\"step\":8,\"lo";  // killed in the middle of a line
  JsonLines stopped = JsonLines::resume(folder / "stopped", 5);
  for (int64_t step = 6; step <= 9; ++step) stopped.write(line(step));
  CHECK(content_of(folder / "stopped") == content_of(folder / "whole"));
}

TEST_CASE("json lines: later and incomplete lines are removed on resuming") {
  const std::string a = "{\"step\":1}\n", b = "{\"step\":2}\n", c = "{\"step\":3}\n";
  CHECK(resumed(a + b + c, 3) == a + b + c);
  CHECK(resumed(a + b + c, 2) == a + b);
  CHECK(resumed(a + b + c, 0).empty());
  CHECK(resumed("", 5).empty());
  CHECK(resumed(a + b.substr(0, b.size() - 1), 5) == a);  // a complete object, but not a complete line
  CHECK(resumed(a + "garbage\n" + b, 5) == a);
  CHECK(resumed(a + "[1]\n" + b, 5) == a);
  CHECK(resumed(a + "{\"step\":\"2\"}\n" + b, 5) == a);
  CHECK(resumed("{\"started\":true}\n" + a + c + b, 2) == "{\"started\":true}\n" + a);
}

TEST_CASE("json lines: a resumed file says how many lines of earlier steps a damaged one takes away") {
  const TemporaryFolder folder;
  const auto damaged = [&](const std::string& text, int64_t step) {
    write_text(folder / "metrics.jsonl", text);
    return JsonLines::resume(folder / "metrics.jsonl", step).damaged_lines();
  };
  const std::string a = "{\"step\":1}\n", b = "{\"step\":2}\n", c = "{\"step\":3}\n";
  CHECK(damaged(a + b + c, 3) == 0);
  CHECK(damaged(a + b + c, 1) == 0);  // later steps are made again
  CHECK(damaged(a + "garbage\n" + b + c, 3) == 3);
  CHECK(damaged(a + "garbage\n" + b + c, 2) == 2);
  CHECK(damaged(a + b + "{\"step\":", 3) == 0);  // not complete: the program was killed
}

TEST_CASE("json lines: a resumed file says how many steps have no line in it") {
  const TemporaryFolder folder;
  const auto missing = [&](const std::string& text, int64_t step) {
    write_text(folder / "metrics.jsonl", text);
    return JsonLines::resume(folder / "metrics.jsonl", step).missing_steps();
  };
  const std::string a = "{\"step\":1}\n", b = "{\"step\":2}\n", c = "{\"step\":3}\n";
  CHECK(missing(a + b + b + c, 3) == 0);  // an evaluation has a second line of the step
  CHECK(missing(a + b + c, 2) == 0);
  CHECK(missing(a + c, 3) == 1);
  CHECK(missing(a, 3) == 2);
  CHECK(missing("{\"started\":true}\n", 3) == 3);
  CHECK(missing(a + "garbage\n" + c, 3) == 2);
  fs::remove(folder / "metrics.jsonl");
  CHECK(JsonLines::resume(folder / "metrics.jsonl", 7).missing_steps() == 7);
  CHECK(JsonLines::create(folder / "metrics.jsonl").missing_steps() == 0);
}

TEST_CASE("json lines: a file that cannot be read is not taken for a missing one") {
  const TemporaryFolder folder;
  const fs::path path = folder / "metrics.jsonl";
  write_text(path, "{\"step\":1}\n");
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(path, fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write);
  {
    const uid_t user = ::geteuid();
    REQUIRE((user != 0 || ::seteuid(65534) == 0));  // the permissions of files do not bind root
    CHECK_THROWS_WITH_AS(JsonLines::resume(path, 1),
                         doctest::Contains("metrics.jsonl cannot be written: Permission denied"), Error);
    REQUIRE(::seteuid(user) == 0);
  }
  fs::permissions(path, fs::perms::owner_all);
  CHECK(content_of(path) == "{\"step\":1}\n");
}

TEST_CASE("json lines: a missing file is created, a missing folder is an error") {
  const TemporaryFolder folder;
  JsonLines::resume(folder / "new", 3).write(line(4));
  CHECK(content_of(folder / "new") == "{\"step\":4,\"loss\":0.5}\n");
  CHECK_THROWS_WITH_AS(JsonLines::create(folder / "no/file"),
                       doctest::Contains("no/file cannot be written: No such file"), Error);
}
