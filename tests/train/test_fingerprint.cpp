// A resumed run whose training data have changed.
#include "train/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/files/safetensors.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A run of 6 steps of which 3 are done.
struct Stopped {
  TemporaryFolder folder;
  fs::path data = folder / "data";
  RunOptions run = tiny_run(data, folder / "out");

  explicit Stopped(bool at_random = false) {
    write_tiny_scenes(data, 6);
    if (at_random) fs::remove_all(data / "ImageSets");
    train_quietly(run);
    const fs::path last = folder / "out/last.safetensors";
    SafetensorsFile file = read_safetensors(last);
    file.metadata["step"] = "3";
    write_safetensors(last, listed(file), file.metadata);
    run.resume = true;
  }
  std::string refusal() const {
    return input_error([&] { train_quietly(run); });
  }
  fs::path image(int number) const { return data / fmt::format("JPEGImages/train_{:05}.png", number); }
  fs::path annotation(int number) const { return data / fmt::format("Annotations/train_{:05}.xml", number); }
  void unlist(int number) const {
    const fs::path list = data / "ImageSets/Main/train.txt";
    std::string text = content_of(list);
    const std::string line = fmt::format("train_{:05}\n", number);
    text.erase(text.find(line), line.size());
    write_text(list, text);
  }
};

}  // namespace

TEST_CASE("fingerprint: the differences of two data sets, by kind") {
  const std::string a = "1111111111111111 2222222222222222 a\n",
                    b = "3333333333333333 4444444444444444 b b\n";
  const std::string other_a = "1111111111111110 2222222222222222 a\n",
                    other_b = "3333333333333333 4444444444444440 b b\n";
  CHECK(differences("# x\n" + a + b, a + b).empty());
  CHECK(differences(a + b, a) == std::vector<std::string>{"removed: b b (1 image)"});
  CHECK(differences(a, a + b) == std::vector<std::string>{"added: b b (1 image)"});
  CHECK(differences(a + b, other_a + b) == std::vector<std::string>{"other pixels: a (1 image)"});
  CHECK(differences(a + b, a + other_b) == std::vector<std::string>{"other annotations: b b (1 image)"});
  CHECK(differences(a + b, b + a) == std::vector<std::string>{"in another order"});
  std::string many;
  for (const char* id : {"c", "d", "e", "f"}) many += fmt::format("{0:0>16} {0:0>16} {0}\n", id);
  CHECK(differences("", many) == std::vector<std::string>{"added: c, d, e, ... (4 images)"});
}

TEST_CASE("fingerprint: what has changed is named on resuming, and allowed on request") {
  {
    Stopped same;
    CHECK_NOTHROW(train_quietly(same.run));
  }
  const auto changed = [](const auto& change, const std::string& words) {
    Stopped stopped;
    change(stopped);
    const std::string before = content_of(stopped.folder / "out/last.safetensors");
    const std::string refusal = stopped.refusal();
    CAPTURE(refusal);
    CHECK(contains(refusal, words));
    CHECK(contains(refusal, "--allow-changed-data"));
    CHECK(content_of(stopped.folder / "out/last.safetensors") == before);
    stopped.run.allow_changed_data = true;
    CHECK_NOTHROW(train_quietly(stopped.run));
    // The data as they are now are those of the run.
    stopped.run.allow_changed_data = false;
    CHECK_NOTHROW(train_quietly(stopped.run));
  };
  changed([](const Stopped& s) { s.unlist(2); }, "removed: train_00002 (1 image)");
  changed([](const Stopped& s) { write_png(s.image(1), random_image(96, 96)); }, "other pixels: train_00001");
  changed(
      [](const Stopped& s) {
        std::string xml = content_of(s.annotation(3));
        const size_t at = xml.find("</xmax>");
        xml[at - 1] = xml[at - 1] == '5' ? '6' : '5';
        write_text(s.annotation(3), xml);
      },
      "other annotations: train_00003");
}

TEST_CASE("fingerprint: a missing image of a random split is said to be missing") {
  Stopped stopped(true);
  // An image whose classes others have, too: without it the classes of the data stay the same.
  const auto classes_of = [&](const std::string& image) {
    const std::string xml = content_of(stopped.data / "Annotations" / (image + ".xml"));
    std::set<std::string> classes;
    for (size_t at = xml.find("<name>"); at != std::string::npos; at = xml.find("<name>", at + 1))
      classes.insert(xml.substr(at + 6, xml.find('<', at + 6) - at - 6));
    return classes;
  };
  std::vector<std::string> images;
  for (const auto& entry : fs::directory_iterator(stopped.data / "Annotations"))
    images.push_back(entry.path().stem().string());
  std::istringstream list(content_of(stopped.folder / "out/splits/train.txt"));
  std::string id;
  while (std::getline(list, id)) {
    std::set<std::string> others;
    for (const std::string& image : images)
      if (image != id) others.merge(classes_of(image));
    if (std::ranges::includes(others, classes_of(id))) break;
  }
  REQUIRE(!id.empty());
  fs::remove(stopped.data / "JPEGImages" / (id + ".png"));
  fs::remove(stopped.data / "Annotations" / (id + ".xml"));
  const std::string refusal = stopped.refusal();
  CAPTURE(refusal);
  CHECK(contains(refusal, "that the data no longer has, '" + id + "' first"));
  CHECK(contains(refusal, "--allow-changed-data"));
  stopped.run.allow_changed_data = true;
  CHECK_NOTHROW(train_quietly(stopped.run));
  CHECK_FALSE(contains(content_of(stopped.folder / "out/splits/train.txt"), id + "\n"));
}

TEST_CASE("fingerprint: the initial weights may be spelled in another way") {
  Stopped stopped;
  const fs::path first = stopped.folder / "out/best.safetensors";
  RunOptions run = tiny_run(stopped.data, stopped.folder / "second");
  run.train.weights = first.string();
  train_quietly(run);
  run.resume = true;
  run.train.weights = (stopped.folder / "out/../out/best.safetensors").string();
  CHECK_NOTHROW(train_quietly(run));
  run.train.weights = (stopped.folder / "out/last.safetensors").string();
  CHECK(contains(input_error([&] { train_quietly(run); }), "--weights"));
}
