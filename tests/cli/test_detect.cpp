// `rcnn detect`: the pictures and detections.json, in the order of the images whatever the threads, and
// images that cannot be read.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// The program, a model and six scenes.
struct DetectTrial : ProgramTrial {
  std::string scene(int i) const { return path(fmt::format("data/JPEGImages/train_{:05}.png", i)); }

  void prepare() const {
    write_tiny_scenes(folder / "data", 6);
    Words train = {program.string(), "train", "--data", path("data"), "--out", path("run")};
    for (const auto& [key, text] : tiny_settings())
      train.insert(train.end(), {"--" + key, key == "steps" ? "1" : text});
    REQUIRE(Process(train).wait() == 0);
  }
  Finished detect(const std::string& out, const Words& more) const {
    Words words = {"detect", "--weights", path("run/best.safetensors"), "--out", path(out), "--score", "0"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(program, words);
  }
  /// The names of the files in a folder, sorted.
  Words files(const std::string& name) const {
    Words names;
    for (const auto& entry : fs::directory_iterator(folder / name))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

/// The lines that name an image, without the output folder, which differs between runs.
std::string image_lines(const Finished& result, const std::string& out) {
  std::string text = result.out.substr(result.out.find('\n') + 1);  // the first names the device
  for (size_t at; (at = text.find(out)) != std::string::npos;) text.replace(at, out.size(), "OUT");
  return text;
}

}  // namespace

namespace {

/// Two files of detections: the same ones in the same order, up to rounding.
void check_close(const std::string& found, const std::string& expected) {
  const auto a = nlohmann::json::parse(found), b = nlohmann::json::parse(expected);
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i]["image_id"] == b[i]["image_id"]);
    CHECK(a[i]["category_id"] == b[i]["category_id"]);
    CHECK(a[i]["score"].get<double>() == doctest::Approx(b[i]["score"].get<double>()).epsilon(1e-5));
    for (size_t k = 0; k < 4; ++k)
      CHECK(std::fabs(a[i]["bbox"][k].get<double>() - b[i]["bbox"][k].get<double>()) < 1e-3);
  }
}

}  // namespace

TEST_CASE("detect: the result does not depend on the threads, nor detections.json on the pictures") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  const Words images = {trial.scene(4), trial.path("data/JPEGImages"), trial.scene(2)};
  const auto run = [&](const std::string& out, Words more) {
    more.insert(more.end(), images.begin(), images.end());
    const Finished result = trial.detect(out, more);
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    return image_lines(result, trial.path(out));
  };
  const std::string lines = run("zero", {"--workers", "0"});
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 8);
  CHECK(lines.starts_with(trial.scene(4) + ": "));
  CHECK(contains(lines, "objects -> OUT/train_00004.jpg\n" + trial.scene(0)));
  const Words pictures = {"detections.json", "train_00000.jpg",   "train_00001.jpg",
                          "train_00002.jpg", "train_00002_2.jpg", "train_00003.jpg",
                          "train_00004.jpg", "train_00004_2.jpg", "train_00005.jpg"};
  CHECK(trial.files("zero") == pictures);
  const std::string detections = content_of(trial.folder / "zero/detections.json");
  CHECK(contains(detections, "train_00004_2"));
  for (const char* workers : {"1", "2", "7"}) {
    CAPTURE(workers);
    const std::string out = std::string("with") + workers;
    CHECK(run(out, {"--workers", workers}) == lines);
    CHECK(trial.files(out) == pictures);
    for (const std::string& name : pictures)
      CHECK(content_of(trial.folder / out / name) == content_of(trial.folder / "zero" / name));
  }

  // Together with others or alone: sums may be rounded differently, as oneDNN's are on AVX2.
  for (const char* batch : {"2", "5", "100"}) {
    CAPTURE(batch);
    const std::string out = std::string("batch") + batch;
    CHECK(run(out, {"--batch", batch}) == lines);
    CHECK(trial.files(out) == pictures);
    check_close(content_of(trial.folder / out / "detections.json"), detections);
  }

  const std::string png = run("png", {"--pictures", "png"}), none = run("none", {"--pictures", "none"});
  CHECK(contains(png, " -> OUT/train_00002_2.png\n"));
  CHECK(trial.files("png").size() == 9);
  CHECK(contains(none, trial.scene(0) + ": "));
  CHECK_FALSE(contains(none, "OUT"));
  CHECK(trial.files("none") == Words{"detections.json"});
  for (const char* out : {"png", "none"})
    CHECK(content_of(trial.folder / out / "detections.json") == detections);

  // The JPEG shows what the PNG shows.
  const Image a = read_image(trial.folder / "png/train_00003.png");
  const Image b = read_image(trial.folder / "zero/train_00003.jpg");
  REQUIRE(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  CHECK(sum / static_cast<double>(a.rgb.size()) < 4);
  CHECK(a.rgb != read_image(trial.scene(3)).rgb);  // boxes are drawn
}

TEST_CASE("detect: an image that cannot be read does not stop the others, and the end says so") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  const std::string broken = trial.path("broken.png"), none = trial.path("none.png");
  write_text(broken, content_of(trial.scene(0)).substr(0, 500));
  for (const char* workers : {"0", "3"})
    for (const char* batch : {"1", "2", "3"}) {
      CAPTURE(workers);
      CAPTURE(batch);
      const Finished result = trial.detect(
          "found", {"--workers", workers, "--batch", batch, trial.scene(0), broken, trial.scene(1)});
      CHECK(result.status == 2);
      CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 2);
      CHECK(contains(result.err, "rcnn: " + broken + " is truncated"));
      CHECK(contains(result.err,
                     "\nrcnn: 1 of 3 images could not be read, the last of them " + broken + "; the"));
      CHECK(trial.files("found") == Words{"detections.json", "train_00000.jpg", "train_00001.jpg"});
      const auto list = nlohmann::json::parse(content_of(trial.folder / "found/detections.json"));
      REQUIRE(list.size() > 1);
      CHECK(list.back().at("unreadable_images") == 1);
      CHECK_FALSE(list.front().contains("unreadable_images"));
      fs::remove_all(trial.folder / "found");
    }
  CHECK(contains(trial.detect("found", {none}).err, "rcnn: " + none + ": no such file or folder"));
  fs::create_directories(trial.folder / "bare");
  CHECK(contains(trial.detect("found", {trial.path("bare")}).err,
                 "rcnn: " + trial.path("bare") + ": the folder holds"));
  CHECK_FALSE(fs::exists(trial.folder / "found"));
}

TEST_CASE("detect: no picture replaces an image, and images of one name get different pictures") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  fs::copy_file(trial.scene(0), trial.folder / "a.png");
  write_jpeg(trial.folder / "a.jpg", read_image(trial.scene(1)));
  const std::string png = trial.path("a.png"), jpeg = trial.path("a.jpg");
  const std::string before = content_of(jpeg);
  const Finished refused = trial.detect(".", {jpeg});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "the command reads this file and would replace it"));
  CHECK(trial.detect(".", {png, jpeg}).status == 2);
  CHECK(trial.detect(".", {"--pictures", "png", png}).status == 2);
  fs::create_symlink("..", trial.folder / "data/back");
  CHECK(trial.detect("data/back", {jpeg}).status == 2);
  CHECK(content_of(jpeg) == before);

  CHECK(trial.detect("found", {png, jpeg}).status == 0);
  CHECK(trial.files("found") == Words{"a.jpg", "a_2.jpg", "detections.json"});
  CHECK(contains(content_of(trial.folder / "found/detections.json"),
                 R"({"image_id":"a_2","file_name":"a.jpg")"));
  CHECK(trial.detect(".", {"--pictures", "none", png, jpeg}).status == 0);
}

TEST_CASE("detect: the folder of a data set's images is not one for pictures") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  fs::create_directories(trial.folder / "yolo/images/train");
  fs::create_directories(trial.folder / "yolo/labels");
  fs::create_directories(trial.folder / "images");
  for (const char* out : {"data/JPEGImages", "yolo/images", "yolo/images/train", "yolo/images/new"}) {
    const Finished refused = trial.detect(out, {trial.scene(0)});
    CAPTURE(out);
    CHECK(refused.status == 2);
    CHECK(contains(refused.err, "the annotated pictures would be among the images of a data set"));
  }
  CHECK(!fs::exists(trial.folder / "yolo/images/new"));
  CHECK(trial.detect("images", {trial.scene(0)}).status == 0);
}

TEST_CASE("detect: a picture that cannot be written costs neither the other pictures nor detections.json") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  // The picture of the second image of this name would be called `..._2.jpg`, which is too long.
  const std::string stem(251, 'x'), name = "train_00001";
  fs::create_directories(trial.folder / "a");
  fs::create_directories(trial.folder / "b");
  const Words images = {trial.path("a/" + stem + ".png"), trial.scene(1), trial.path("b/" + stem + ".png"),
                        trial.scene(2)};
  fs::copy_file(trial.scene(0), images[0]);
  fs::copy_file(trial.scene(0), images[2]);
  for (const char* workers : {"0", "1", "4"})
    for (const char* batch : {"1", "4"}) {
      CAPTURE(workers);
      CAPTURE(batch);
      const Finished result = trial.detect(
          "found", Words{"--workers", workers, "--batch", batch, images[0], images[1], images[2], images[3]});
      CHECK(result.status == 1);
      CHECK(contains(result.err, "File name too long"));
      CHECK(contains(result.err, "\nrcnn: 1 of 4 pictures could not be written, the last of them " +
                                     images[2] + "; the others and " + trial.path("found/detections.json") +
                                     " are done\n"));
      CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 2);
      CHECK(trial.files("found") ==
            Words{"detections.json", "train_00001.jpg", "train_00002.jpg", stem + ".jpg"});
      const std::string detections = content_of(trial.folder / "found/detections.json");
      for (const std::string& id : {name, stem, stem + "_2", std::string("train_00002")})
        CHECK(contains(detections, "\"image_id\":\"" + id + "\""));
      fs::remove_all(trial.folder / "found");
    }
}

TEST_CASE("detect: on a full disk what is small enough is written, and the end says what is missing") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  // A limit on the size of files makes the large picture fail half way, as a full disk does.
  write_png(trial.folder / "large.png", random_image(400, 400));
  const Finished result =
      run_program("/bin/sh", {"-c", "ulimit -f 100 && exec \"$0\" \"$@\"", trial.program.string(), "detect",
                              "--weights", trial.path("run/best.safetensors"), "--out", trial.path("found"),
                              trial.scene(0), trial.path("large.png"), trial.scene(1)});
  CHECK(result.status == 1);
  CHECK(contains(result.err, "large.jpg cannot be written"));
  CHECK(contains(result.err, "\nrcnn: 1 of 3 pictures could not be written"));
  CHECK(trial.files("found") == Words{"detections.json", "train_00000.jpg", "train_00001.jpg"});
}

TEST_CASE("detect: detections are written as they are found; if that fails, the pictures are nevertheless") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  Words words = {"-c",
                 "ulimit -f 100 && exec \"$0\" \"$@\"",
                 trial.program.string(),
                 "detect",
                 "--weights",
                 trial.path("run/best.safetensors"),
                 "--out",
                 trial.path("found"),
                 "--score",
                 "0.9"};
  for (int i = 0; i < 120; ++i) words.push_back(trial.scene(i % 6));
  const Finished result = run_program("/bin/sh", words);
  CAPTURE(result.err);
  CHECK(result.status == 1);
  CHECK(contains(result.err, "detections.json cannot be written: of the "));
  // The first piece fails, long before the end.
  const size_t first = result.err.find("after the first ") + 16;
  CHECK(std::atoi(result.err.c_str() + first) < 70'000);
  CHECK(trial.files("found").size() == 120);
}

TEST_CASE("detect: Ctrl-C ends the program at once, and leaves no half-written picture") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  Words words = {trial.program.string(), "detect", "--weights", trial.path("run/best.safetensors"), "--out",
                 trial.path("found")};
  for (int i = 0; i < 400; ++i) words.push_back(trial.scene(i % 6));
  Process process(words);
  while (process.running() && !contains(process.out(), "_3.jpg\n"))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(process.running());
  process.signal(SIGINT);
  CHECK(process.wait() == 128 + SIGINT);
  CHECK(process.err().empty());
  for (const std::string& name : trial.files("found"))
    if (name.ends_with(".jpg")) CHECK_NOTHROW(read_image(trial.folder / "found" / name));
}

TEST_CASE("detect: a wrong value is refused with those that are expected") {
  const DetectTrial trial;
  if (!trial) return;
  const Finished result = trial.detect("found", {"--pictures", "gif", "x.jpg"});
  CHECK(result.status == 2);
  CHECK(contains(result.err, "--pictures"));
  CHECK(contains(result.err, "jpeg"));
  CHECK(trial.detect("found", {"--workers", "-1", "x.jpg"}).status == 2);
  CHECK(trial.detect("found", {"--batch", "0", "x.jpg"}).status == 2);
}

TEST_CASE("detect: an image without objects is told with the threshold") {
  const DetectTrial trial;
  if (!trial) return;
  trial.prepare();
  const auto line = [&](const Words& more) {
    Words words = {"detect", "--weights",       trial.path("run/best.safetensors"),
                   "--out",  trial.path("out"), "--pictures",
                   "none",   trial.scene(0)};
    words.insert(words.end(), more.begin(), more.end());
    const Finished found = run_program(trial.program, words);
    CHECK(found.status == 0);
    return found.out.substr(found.out.find(trial.scene(0)));
  };
  CHECK(line({"--score", "1"}) == trial.scene(0) + ": 0 objects with a score of at least 1\n");
  CHECK(line({"--score", ".99999"}) == trial.scene(0) + ": 0 objects with a score of at least 0.99999\n");
  CHECK(line({"--score", "0.9999"}) == trial.scene(0) + ": 0 objects with a score of at least 0.9999\n");
  // After one step no class has a recommended threshold: 0.5 holds.
  CHECK(line({}) == trial.scene(0) + ": 0 objects with a score of at least 0.5\n");
  CHECK(!contains(line({"--score", "0"}), "with a score"));
}
