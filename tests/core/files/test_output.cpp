// What a command may write over, and what it may not.
#include "core/files/output.h"

#include "core/files/safetensors.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

const std::string kMarked = "{\"info\": \"written by rcnn.cu\"}\n";

/// The refusal to write `path`, or "" if there is none.
std::string refusal(OutputCheck& check, const fs::path& path, bool ours = false) {
  try {
    check.writes("--out", path, ours);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// The same for a command that reads `inputs`.
std::string refusal(const fs::path& path, const std::vector<fs::path>& inputs, bool force = false) {
  OutputCheck check(force);
  for (const fs::path& input : inputs) check.reads(input);
  return refusal(check, path);
}

}  // namespace

TEST_CASE("output: the files of this program are told apart from others, and empty ones from both") {
  const TemporaryFolder folder;
  const auto is_ours = [&](const std::string& text) {
    write_text(folder / "file", text);
    return is_written_here(folder / "file");
  };
  CHECK(is_ours(kMarked));
  CHECK(is_ours("<annotation>\n  <!-- written by rcnn.cu -->\n"));
  CHECK(is_ours(""));
  CHECK(is_ours("[\n]\n"));
  CHECK_FALSE(is_ours("[1]"));
  CHECK_FALSE(is_ours("{\"info\": \"written by others\"}"));
  CHECK_FALSE(is_ours("written by rcnn"));
  CHECK_FALSE(is_written_here(folder / "none"));
  CHECK_FALSE(is_written_here(folder.path()));

  write_png(folder / "a.png", random_image(9, 5));
  write_jpeg(folder / "a.jpg", random_image(9, 5));
  CHECK(is_written_here(folder / "a.png"));
  CHECK(is_written_here(folder / "a.jpg"));
  CHECK(read_image(folder / "a.png").rgb == random_image(9, 5).rgb);
  CHECK(read_image(folder / "a.jpg").width == 9);
  write_bytes(folder / "b.png", encode_png(random_image(9, 5)));
  write_bytes(folder / "b.jpg", encode_jpeg(random_image(9, 5)));
  CHECK_FALSE(is_written_here(folder / "b.png"));
  CHECK_FALSE(is_written_here(folder / "b.jpg"));

  const std::vector<std::pair<std::string, Tensor>> tensors = {{"x", Tensor::zeros({3}, DType::f32)}};
  write_safetensors(folder / "a.safetensors", tensors, {{"format", "rcnn.cu 1"}});  // of older versions
  CHECK(is_written_here(folder / "a.safetensors"));
  write_safetensors(folder / "a.safetensors", tensors, {{"format", "pt"}});
  CHECK_FALSE(is_written_here(folder / "a.safetensors"));
}

TEST_CASE("output: an input is never written to, by any name and with --force neither") {
  const TemporaryFolder folder;
  const fs::path input = folder / "in/results.json", link = folder / "link.json", hard = folder / "hard.json";
  write_text(input, kMarked);
  fs::create_symlink(input, link);
  fs::create_hard_link(input, hard);
  fs::create_symlink("in", folder / "folder");
  for (const bool force : {false, true})
    for (const fs::path& name : {input, link, hard, folder / "folder/../in/./results.json"}) {
      CAPTURE(name);
      CHECK(refusal(name, {input}, force) ==
            "--out " + name.string() +
                ": the command reads this file and would replace it; choose another name");
      CHECK(refusal(input, {name}, force) != "");
    }
  CHECK(refusal(folder / "in/new.json", {input}) == "");
  CHECK(refusal(input, {folder / "none", ""}) == "");
}

TEST_CASE("output: data in a folder that is read is not written to, results of this program are") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data";
  write_text(data / "Annotations/a.xml", "<!-- written by rcnn.cu -->");
  write_text(data / "results.json", kMarked);
  write_text(data / "instances.json", "{}");
  fs::create_symlink(data, data / "loop");
  write_text(folder / "elsewhere/b.xml", "<annotation/>");
  fs::create_symlink(folder / "elsewhere", data / "more");
  const std::string reads = "the command reads this file";
  for (const bool force : {false, true}) {
    CHECK(contains(refusal(data / "Annotations/a.xml", {data}, force), reads));
    CHECK(contains(refusal(data / "instances.json", {data}, force), reads));
    CHECK(contains(refusal(folder / "elsewhere/b.xml", {data}, force), reads));
    CHECK(refusal(data / "results.json", {data}, force) == "");
    CHECK(refusal(data / "new.json", {data}, force) == "");
  }
  OutputCheck check(false);
  check.reads(data);
  CHECK(refusal(check, data / "instances.json", true) == "");
}

TEST_CASE("output: a file of another program is only replaced with --force") {
  const TemporaryFolder folder;
  write_text(folder / "own.json", "{}");
  write_text(folder / "ours.json", kMarked);
  CHECK(refusal(folder / "own.json", {}) ==
        "--out " + (folder / "own.json").string() +
            ": this file exists and was not written by rcnn; choose another name, or replace it with "
            "--force");
  CHECK(refusal(folder / "own.json", {}, true) == "");
  CHECK(refusal(folder / "ours.json", {}) == "");
}

TEST_CASE("output: what cannot be written is refused before the work") {
  const TemporaryFolder folder;
  CHECK(contains(refusal(folder / "no/file", {}),
                 "the folder " + (folder / "no").string() + " does not exist"));
  CHECK(contains(refusal(folder.path(), {}, true), "exists and is not a regular file"));
  CHECK(contains(refusal("/dev/null", {}, true), "exists and is not a regular file"));
  CHECK(contains(refusal(folder.path() / "", {}), "expected the name of a file"));
  OutputCheck check(false);
  CHECK(refusal(check, folder / "a") == "");
  CHECK(contains(refusal(check, folder / "./a"), "would write this file twice"));
}

TEST_CASE("output: two names of one file that does not exist yet are told") {
  OutputCheck check(false);
  check.writes("--json", "two-names-of-one-file.json");
  CHECK(contains(input_error([&] { check.writes("--out", "./two-names-of-one-file.json"); }), "twice"));
}

TEST_CASE("output: what a killed process left in the folder is removed") {
  const TemporaryFolder folder;
  write_text(folder / ".rcnn-tmp-1-0", "half");
  CHECK(refusal(folder / "a", {}) == "");
  CHECK_FALSE(fs::exists(folder / ".rcnn-tmp-1-0"));
}

TEST_CASE("output: a step that fails does not keep the others from running, and its failure is reported") {
  KeepGoing steps;
  int done = 0;
  steps.run([&] { throw Error("first"); });
  steps.run([&] { ++done; });
  steps.run([&] { throw Error("second"); });
  CHECK(done == 1);
  CHECK_THROWS_WITH_AS(steps.finish(), "first", Error);
  CHECK_NOTHROW(KeepGoing().finish());
}
