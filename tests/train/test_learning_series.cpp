// `train --explain-every`: training is the same bit for bit, the series continues when a run is resumed, and
// the page shows its frames.
#include "train/learning_series.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/files/atomic_file.h"
#include "core/files/sha256.h"
#include "tests/program.h"
#include "tests/report/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

RunOptions explained_run(const fs::path& data, const fs::path& out, int64_t every) {
  RunOptions run = tiny_run(data, out);
  run.explain_every = every;
  run.explain_image = (data / "JPEGImages" / "train_00001.png").string();
  return run;
}

std::vector<Json> frames_in(const fs::path& out) {
  std::vector<Json> frames;
  std::istringstream lines(content_of(out / "learning.jsonl"));
  for (std::string line; std::getline(lines, line);) frames.push_back(Json::parse(line));
  return frames;
}

/// What a training prints.
std::string words_of_training(const RunOptions& run, const fs::path& file) {
  {
    const Quiet restores;
    const int to = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    ::dup2(to, STDOUT_FILENO);
    ::close(to);
    train_detector(run);
  }
  return content_of(file);
}

LearningFrame some_frame(int64_t step) {
  LearningFrame frame;
  frame.step = step;
  frame.level = "P3";
  frame.h = 8, frame.w = 12, frame.stride = 8;
  frame.objectness.assign(96, 50);
  frame.objectness[5] = 98;
  frame.proposal_count = 7;
  frame.proposals = {{{1.5f, 2, 30, 40.25f}, 0.98f, 0}, {{4, 5, 60, 50}, 0.5f, 0}};
  frame.detections = {{{1, 2, 30, 40}, 0.75f, 2}, {{10, 2, 30, 40}, 0.25f, 1}};
  frame.objects = 3, frame.proposed = 2, frame.found = 1;
  return frame;
}

std::string page_of(const std::vector<LearningFrame>& frames, const std::string& name = "photo.png") {
  ModelConfig config = model_config("nano-fpn");
  config.short_side = 64;
  config.long_side = 96;
  return learning_page(name, smooth_image(96, 64), config, {"cat", kHostile}, {}, frames);
}

}  // namespace

TEST_CASE("learning series: training has the same bits, and the frames are those of the asked steps") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  train_quietly(tiny_run(folder / "data", folder / "plain"));
  train_quietly(explained_run(folder / "data", folder / "explained", 4));
  for (const char* file : {"best.safetensors", "metrics.jsonl"}) {
    CAPTURE(file);
    CHECK(sha256_hex_of_file(folder / "plain" / file) == sha256_hex_of_file(folder / "explained" / file));
  }
  CHECK_FALSE(fs::exists(folder / "plain/learning.jsonl"));
  const std::vector<Json> frames = frames_in(folder / "explained");
  REQUIRE(frames.size() == 3);  // before the first step, after the fourth and after the last
  CHECK(frames[0]["step"] == 0);
  CHECK(frames[1]["step"] == 4);
  CHECK(frames[2]["step"] == 6);
  CHECK(frames[0]["objects"].get<int64_t>() > 0);  // the image is one of the training images
  CHECK(frames[0]["proposals"] != frames[2]["proposals"]);

  // The last frame is what the trained network makes of the image.
  Detector detector = load_model(folder / "explained/best.safetensors");
  Context ctx;
  const Image image = read_image(folder / "data/JPEGImages/train_00001.png");
  const LearningFrame now = take_frame(ctx, *detector.model, image, {}, 6);
  CHECK(frame_json(now)["proposals"] == frames[2]["proposals"]);
  CHECK(frame_json(now)["detections"] == frames[2]["detections"]);
  CHECK(frame_json(now)["objectness"] == frames[2]["objectness"]);
  CHECK(std::ssize(now.objectness) == now.h * now.w);
}

TEST_CASE("learning series: a stopped and resumed run has the series of one that was never stopped") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_broken_split(folder / "data");
  train_quietly(explained_run(folder / "data", folder / "whole", 3));
  for (const int64_t checkpoint_every : {2, 10}) {
    CAPTURE(checkpoint_every);
    const fs::path out = folder / ("every" + std::to_string(checkpoint_every));
    RunOptions run = explained_run(folder / "data", out, 3);
    run.train.val = "broken";  // stops at the end of the first epoch, step 4
    run.train.checkpoint_every = checkpoint_every;
    CHECK(contains(input_error([&] { train_quietly(run); }), "can be decoded"));
    CHECK(frames_in(out).size() == 2);
    CHECK(fs::exists(out / "learning.html"));
    run = explained_run(folder / "data", out, 3);
    run.resume = true;

    RunOptions other = run;
    other.explain_image = (folder / "data/JPEGImages/train_00002.png").string();
    CHECK(contains(input_error([&] { train_quietly(other); }), "are of another image"));

    train_quietly(run);
    CHECK(content_of(out / "learning.jsonl") == content_of(folder / "whole/learning.jsonl"));
    CHECK(content_of(out / "learning.html") == content_of(folder / "whole/learning.html"));
  }
}

TEST_CASE("learning series: a run that is resumed says how many frames a damaged line takes away") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  write_broken_split(folder / "data");
  RunOptions run = explained_run(folder / "data", folder / "out", 1);
  run.train.val = "broken";  // stops at the end of the first epoch, with a checkpoint of step 4
  run.train.checkpoint_every = 2;
  CHECK(contains(input_error([&] { train_quietly(run); }), "can be decoded"));
  std::vector<Json> frames = frames_in(folder / "out");
  REQUIRE(frames.size() == 5);
  std::string damaged = frames[0].dump() + "\n{\"step\": 1\n";
  for (size_t i = 2; i < 5; ++i) damaged += frames[i].dump() + "\n";
  write_text(folder / "out/learning.jsonl", damaged);
  run = explained_run(folder / "data", folder / "out", 1);
  run.train.checkpoint_every = 2;
  run.resume = true;
  const std::string said = words_of_training(run, folder / "said");
  CHECK(contains(said,
                 "learning.jsonl: a line is damaged; dropped 4 frames of steps up to 4, from that line on"));
  CHECK(contains(said, "learning: " + (folder / "out/learning.html").string()));
  CHECK(contains(content_of(folder / "out/report.html"), "learning.html, beside this page, shows"));
  frames = frames_in(folder / "out");
  REQUIRE(frames.size() == 3);  // of steps 0, 5 and 6
  CHECK(frames[1]["step"] == 5);
}

TEST_CASE("learning series: the two words of the option in the wrong order") {
  const ProgramTrial trial;
  if (!trial) return;
  for (const char* every : {"photo.jpg", "0", "-1", "2x"}) {
    const Finished refused = trial.run(
        {"train", "--data", trial.path("none"), "--out", trial.path("out"), "--explain-every", every, "2"});
    CHECK(refused.status == 2);
    CHECK(contains(
        refused.err,
        fmt::format("--explain-every {} 2: expected N IMAGE: a number of steps of 1 or more", every)));
  }
}

TEST_CASE("learning series: what does not fit is refused before training") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = explained_run(folder / "data", folder / "out", 2);
  run.train.mode = "rpn";
  CHECK(contains(input_error([&] { train_quietly(run); }), "expected --mode joint"));
  run = explained_run(folder / "data", folder / "out", 2);
  run.explain_image = (folder / "none.png").string();
  CHECK(input_error([&] { train_quietly(run); }) ==
        "--explain-every 2 " + (folder / "none.png").string() + ": no such file");
  run = explained_run(folder / "data", folder / "out", 2);
  fs::create_directories(folder / "out");
  write_atomically(folder / "out/learning.html", "mine");
  CHECK(contains(input_error([&] { train_quietly(run); }), "learning.html"));
  CHECK(content_of(folder / "out/learning.html") == "mine");
}

TEST_CASE("learning series: a frame is read back as it was written") {
  const LearningFrame frame = some_frame(40), again = frame_of(Json::parse(frame_json(frame).dump()));
  CHECK(frame_json(again).dump() == frame_json(frame).dump());
  CHECK(again.proposals[0].box.y2 == 40.25f);
  CHECK(again.detections[0].label == 2);
  CHECK_THROWS(frame_of(Json::parse(R"({"step": 1})")));
}

TEST_CASE("learning series: the page has the first and the last frame, and at most 120") {
  std::vector<LearningFrame> frames;
  for (int64_t i = 0; i < 500; ++i) frames.push_back(some_frame(i * 10));
  pugi::xml_document document;
  parse(page_of(frames, kHostile), document);
  const auto shown = document.select_nodes("//div[@class='frame']");
  REQUIRE(shown.size() == 120);
  CHECK(shown[0].node().attribute("data-step").as_int() == 0);
  CHECK(shown[119].node().attribute("data-step").as_int() == 4990);
  CHECK(document.select_nodes("//div[@class='frame'][not(@hidden)]").size() == 1);
  CHECK(document.select_nodes("(//div[@class='frame'])[1]//figure").size() == 3);
  CHECK(document.select_nodes("//tbody/tr").size() == 500);
  const std::string page = page_of({some_frame(0), some_frame(10)});
  CHECK(contains(page, "1 detection with a score of .50 or more"));
  CHECK(contains(page, "1 of 3 objects (dashed) are found"));
  CHECK(contains(page, "cover 2 of 3 objects"));
  CHECK(contains(page, "An object is covered if a proposal overlaps it by an IoU of .50 or more"));
  CHECK(contains(page, ".heat { background: linear-gradient(90deg, rgb(0, 0, 4), rgb(31, 12, 72)"));
  CHECK(contains(page, "the level of the best proposal: .98 at most"));
  CHECK_FALSE(contains(page, "src=\"http"));
  CHECK_FALSE(contains(std::string(kLearningScript), "<"));
  CHECK_FALSE(contains(std::string(kLearningScript), "&"));
}

TEST_CASE("learning series: the arrow keys and the slider show the frames") {
  if (!fs::exists("/usr/bin/chromium")) {
    MESSAGE("skipped: Chromium was not found");
    return;
  }
  const TemporaryFolder folder;
  std::string page = page_of({some_frame(0), some_frame(10), some_frame(20), some_frame(30)});
  const size_t policy = page.find("<meta http-equiv=\"Content-Security-Policy\"");
  page.erase(policy, page.find("/>", policy) + 2 - policy);  // lets the test run a script of its own
  page.insert(
      page.find("</body>"),
      "<script>var seen = [];"
      "function look() { seen.push(document.querySelector('.frame:not([hidden])').dataset.step);"
      "  seen.push(document.getElementById('at-text').textContent); }"
      "function key(name) { document.body.dispatchEvent(new KeyboardEvent('keydown', {key: name, "
      "bubbles: true})); look(); }"
      "look(); key('ArrowRight'); key('ArrowLeft'); key('ArrowLeft');"
      "var at = document.getElementById('at'); at.value = 0; at.dispatchEvent(new Event('input')); look();"
      "document.body.textContent = 'seen' + seen.join(',') + 'end';</script>");
  write_atomically(folder / "page.html", page);
  Process browser({"/usr/bin/timeout", "60", "/usr/bin/chromium", "--headless", "--no-sandbox",
                   "--disable-gpu", "--user-data-dir=" + (folder / "profile").string(), "--dump-dom",
                   "file://" + (folder / "page.html").string()});
  if (const int status = browser.wait(); status != 0) {
    MESSAGE("skipped: chromium ends with ", status, ", or takes longer than a minute");
    return;
  }
  CHECK(contains(browser.out(), "seen30,step 30,30,step 30,20,step 20,10,step 10,0,step 0end"));
}
