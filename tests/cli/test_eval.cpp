// `rcnn eval`: evaluates a results file of any origin, or a model.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "data/voc.h"
#include "tests/program.h"
#include "tests/report/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Words = std::vector<std::string>;

/// Two images with one object each, a cat (category 0) and a dog (category 3). The cat is detected with an
/// IoU of exactly .5, the dog as a cow.
const char* const kTruth = R"({
  "images": [{"id": 10, "file_name": "a.jpg"}, {"id": 20, "file_name": "b.jpg"}],
  "categories": [{"id": 3, "name": "dog"}, {"id": 0, "name": "cat"}, {"id": 4, "name": "cow"}],
  "annotations": [{"image_id": 10, "category_id": 0, "bbox": [0, 0, 20, 20]},
                  {"image_id": 20, "category_id": 3, "bbox": [0, 0, 20, 20]}]})";
const char* const kFound = R"([{"image_id": 10, "category_id": 0, "bbox": [0, 0, 20, 10], "score": 0.5},
                               {"image_id": 20, "category_id": 4, "bbox": [0, 0, 20, 20], "score": 0.5}])";

struct Trial : ProgramTrial {
  std::string text(const std::string& name, const std::string& content) const {
    write_text(folder / name, content);
    return path(name);
  }
  std::string refusal(const Words& words) const {
    const Finished result = run(words);
    CAPTURE(result.out);
    CHECK(result.status == 2);
    CHECK(result.err.starts_with("rcnn: "));
    return result.err;
  }
  nlohmann::json json(const std::string& name) const {
    return nlohmann::json::parse(std::ifstream(folder / name));
  }
};

}  // namespace

TEST_CASE("eval: a results file is evaluated against a COCO file, without images or a model") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.text("truth.json", kTruth), found = trial.text("found.json", kFound);
  const Finished result =
      trial.run({"eval", "--detections", found, "--data", truth, "--json", trial.path("figures.json")});
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "AP     0.0500\n"));  // one of two classes, at one of ten thresholds
  CHECK(contains(result.out, "AP50   0.5000\n"));
  CHECK(contains(result.out, "APl         -\n"));
  const nlohmann::json json = trial.json("figures.json");
  CHECK(json["AP"].get<double>() == doctest::Approx(0.05));
  CHECK(json["APl"] == -1);
  CHECK(json["map50"].get<double>() == doctest::Approx(0.5));
  CHECK(json["ap50"]["cat"].get<double>() == doctest::Approx(1));
  CHECK(json["by_class"]["cat"]["AP"].get<double>() == doctest::Approx(0.1));
  CHECK(json["by_class"]["dog"]["AR100"] == 0);
  CHECK_FALSE(json["by_class"].contains("cow"));
}

TEST_CASE("eval: with a list of images, only those are evaluated") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.text("truth.json", kTruth), found = trial.text("found.json", kFound);
  const auto ap50 = [&](const std::string& names) {
    const Finished result = trial.run({"eval", "--detections", found, "--data", truth, "--images",
                                       trial.text("list.txt", names), "--json", trial.path("figures.json")});
    CAPTURE(result.err);
    CHECK(result.status == 0);
    CHECK_FALSE(contains(result.out, "no splits"));
    const nlohmann::json json = trial.json("figures.json");
    CHECK(json["AP50"].get<double>() == doctest::Approx(json["map50"].get<double>()));
    return json["map50"].get<double>();
  };
  CHECK(ap50("a\n") == 1);  // the cat, detected with an IoU of exactly .5; the dog's image is not listed
  CHECK(ap50("b.jpg\n") == 0);
  CHECK(ap50("b\na.jpg\n") == doctest::Approx(0.5));
  CHECK(ap50("b\na.jpg\nb.jpg\nb\n") == doctest::Approx(0.5));  // each image counts once
  CHECK(contains(trial.refusal({"eval", "--detections", found, "--data", truth, "--images",
                                trial.text("list.txt", "a\nc\n")}),
                 "lists the image 'c', which is not among the 2"));
  CHECK(contains(
      trial.refusal({"eval", "--detections", found, "--data", truth, "--images", trial.path("none.txt")}),
      "none.txt"));
}

TEST_CASE("eval: the validation images of a run on data without splits give the figures of its report") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 6);
  std::filesystem::remove_all(trial.folder / "data/ImageSets");
  Words train = {"train", "--data", trial.path("data"), "--out", trial.path("run")};
  for (const auto& [key, text] : tiny_settings()) {
    train.push_back("--" + key);
    train.push_back(key == "steps" ? "2" : text);
  }
  REQUIRE(trial.run(train).status == 0);
  const Words eval = {"eval",
                      "--weights",
                      trial.path("run/best.safetensors"),
                      "--data",
                      trial.path("data"),
                      "--json",
                      trial.path("figures.json")};
  const Finished whole = trial.run(eval);
  CHECK(contains(whole.out, "data has no splits: evaluating on all its 6 images"));
  Words watched = eval;
  for (const std::string& word : {std::string("--images"), trial.path("run/splits/val.txt"),
                                  std::string("--out"), trial.path("found.json")})
    watched.push_back(word);
  const Finished result = trial.run(watched);
  CAPTURE(result.err);
  REQUIRE(result.status == 0);
  CHECK_FALSE(contains(result.out, "no splits"));
  const nlohmann::json summary = trial.json("run/summary.json"), figures = trial.json("figures.json");
  for (const auto& [key, value] : summary["coco"].items()) CHECK(figures[key] == value);
  CHECK(trial.json("found.json") == trial.json("run/detections.json"));
  // The same figures come from a results file, which identifies images by name. Images that are not listed
  // are ignored.
  REQUIRE(trial
              .run({"eval", "--weights", trial.path("run/best.safetensors"), "--data", trial.path("data"),
                    "--out", trial.path("all.json")})
              .status == 0);
  REQUIRE(trial
              .run({"eval", "--detections", trial.path("all.json"), "--data", trial.path("data"), "--images",
                    trial.path("run/splits/val.txt"), "--json", trial.path("again.json")})
              .status == 0);
  CHECK(trial.json("again.json") == figures);

  // The model on the proposals of its own RPN: they were written for all images, and the listed images are
  // evaluated.
  const Finished proposed = trial.run({"propose", "--weights", trial.path("run/best.safetensors"), "--data",
                                       trial.path("data"), "--out", trial.path("proposals.json")});
  CAPTURE(proposed.err);
  REQUIRE(proposed.status == 0);
  watched.insert(watched.end(), {"--proposals", trial.path("proposals.json")});
  const Finished there = trial.run(watched);
  CAPTURE(there.err);
  REQUIRE(there.status == 0);
  CHECK(trial.json("figures.json")["map50"].get<double>() ==
        doctest::Approx(figures["map50"].get<double>()).epsilon(0.02));
}

TEST_CASE("eval: results that do not belong to the data are refused or reported") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.text("truth.json", kTruth);
  const auto found = [&](const std::string& image, const std::string& category) {
    return trial.text("found.json", R"([{"image_id": )" + image + R"(, "category_id": )" + category +
                                        R"(, "bbox": [0, 0, 20, 10], "score": 0.5}])");
  };
  const auto eval = [&](const std::string& file) {
    return Words{"eval", "--detections", file, "--data", truth};
  };
  CHECK(contains(trial.refusal(eval(found("11", "0"))), "the image 11"));
  CHECK(contains(trial.refusal(eval(found("\"x\"", "0"))), "the image 'x'"));
  CHECK(trial.run(eval(found("\"a\"", "0"))).status == 0);  // images may be given by name
  const Finished other = trial.run(eval(found("10", "7")));
  CHECK(other.status == 0);
  CHECK(contains(other.out, "1 detections of the category 7"));
  CHECK(contains(trial.refusal(eval(truth)), "holds no list of detections"));
  CHECK(contains(trial.refusal(eval(trial.path("missing.json"))), "missing.json"));
}

TEST_CASE("eval: detections of a model that are written and read back give the same figures") {
  const Trial trial;
  if (!trial) return;
  const std::string data = trial.path("data");
  write_tiny_scenes(trial.folder / "data", 2);
  Words train = {"train", "--data", data, "--out", trial.path("run")};
  for (const auto& [key, text] : tiny_settings()) {
    train.push_back("--" + key);
    train.push_back(key == "steps" ? "1" : text);
  }
  REQUIRE(trial.run(train).status == 0);
  // Evaluates the model with the options `words`, then the file of its detections, and returns the
  // detections.
  const auto compare = [&](const Words& words) {
    Words model = {"eval",
                   "--weights",
                   trial.path("run/best.safetensors"),
                   "--out",
                   trial.path("found.json"),
                   "--json",
                   trial.path("model.json")};
    Words file = {"eval", "--detections", trial.path("found.json"), "--json", trial.path("file.json")};
    for (Words* all : {&model, &file}) {
      all->insert(all->end(), words.begin(), words.end());
      const Finished result = trial.run(*all);
      CAPTURE(result.err);
      REQUIRE(result.status == 0);
    }
    CHECK(trial.json("model.json") == trial.json("file.json"));
    const nlohmann::json found = trial.json("found.json");
    REQUIRE_FALSE(found.empty());
    return found;
  };
  CHECK(compare({"--data", data, "--split", "train"})[0]["image_id"].is_string());

  // The same images as a COCO file, where images and categories have numbers. The results use these numbers.
  const Dataset dataset = read_voc(trial.folder / "data", "train");
  nlohmann::json coco = {{"images", nlohmann::json::array()},
                         {"categories", nlohmann::json::array()},
                         {"annotations", nlohmann::json::array()}};
  for (size_t i = 0; i < dataset.classes.size(); ++i)
    coco["categories"].push_back({{"id", 70 - 10 * i}, {"name", dataset.classes[i]}});
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    coco["images"].push_back({{"id", 500 + i}, {"file_name", dataset.samples[i].image.filename().string()}});
    for (const auto& [box, label, difficult, crowd, area, proposal] : dataset.samples[i].objects)
      coco["annotations"].push_back({{"image_id", 500 + i},
                                     {"category_id", 80 - 10 * label},
                                     {"bbox", {box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1}}});
  }
  for (const nlohmann::json& entry : compare({"--data", trial.text("data/coco.json", coco.dump())})) {
    CHECK(entry["image_id"].is_number_integer());
    CHECK(entry["image_id"] >= 500);
    CHECK(entry["category_id"].get<int>() % 10 == 0);
  }
  CHECK(contains(trial.refusal({"eval", "--detections", trial.path("found.json"), "--data",
                                trial.path("data/coco.json"), "--split", "val"}),
                 "has no split 'val'"));
}

TEST_CASE("eval: --report shows a model as its run does, without what only training knows") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 6);  // all classes are in both splits
  write_tiny_scenes(trial.folder / "data", 6, "test");
  Words train = {"train", "--data", trial.path("data"), "--out", trial.path("run")};
  for (const auto& [key, text] : tiny_settings()) train.insert(train.end(), {"--" + key, text});
  REQUIRE(trial.run(train).status == 0);
  const std::string model = trial.path("run/best.safetensors");
  const Finished result = trial.run(
      {"eval", "--weights", model, "--data", trial.path("data/"), "--report", trial.path("eval.html")});
  CAPTURE(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "report: " + trial.path("eval.html")));
  pugi::xml_document of_run, page;
  parse(content_of(trial.folder / "run/report.html"), of_run);
  parse(content_of(trial.folder / "eval.html"), page);
  CHECK(text_at(page, "//h1") == "nano-fpn on data");
  for (const char* absent : {"training", "settings", "augmentation"}) {
    CAPTURE(absent);
    CHECK(count_of(page, fmt::format("//section[@id='{}']", absent).c_str()) == 0);
  }
  // The rest is the same: the test split was evaluated with the same weights.
  const auto text = [](const pugi::xml_document& document, const std::string& id) {
    std::ostringstream stream;  // empty for a section that is absent
    document.select_node(fmt::format("//section[@id='{}']", id).c_str()).node().print(stream);
    return stream.str();
  };
  for (const char* same :
       {"confidence", "precision", "confusion", "false-positives", "misses", "worst", "examples"}) {
    CAPTURE(same);
    CHECK(text(page, same) == text(of_run, same));
  }
  for (const char* there : {"precision", "confusion", "misses", "worst", "examples"}) {
    CAPTURE(there);
    CHECK(count_of(page, fmt::format("//section[@id='{}']", there).c_str()) == 1);
  }
  CHECK(contains(text(page, "precision"), "Evaluated on test, 6 images"));
  CHECK(count_of(page, "//section[@id='data']") == 1);
  CHECK_FALSE(contains(text(page, "next"), "cannot be learned"));

  // A file of detections: no causes that only the model knows, and otherwise the same pictures.
  const auto without_causes = [&](const pugi::xml_document& document, const std::string& id) {
    std::string section = text(document, id);
    const std::string missed = ": missed", end = ")</title>";
    for (size_t cause = 0; (cause = section.find(missed + " (", cause)) != std::string::npos;) {
      cause += missed.size();
      section.erase(cause, section.find(end, cause) + 1 - cause);  // " (lost in NMS)"
    }
    return section;
  };
  const Finished file = trial.run({"eval", "--detections", trial.path("run/detections.json"), "--data",
                                   trial.path("data"), "--report", trial.path("eval.html")});
  CAPTURE(file.err);
  REQUIRE(file.status == 0);
  pugi::xml_document plain;
  parse(content_of(trial.folder / "eval.html"), plain);
  CHECK(text_at(plain, "//h1") == "detections.json on data");
  for (const char* same : {"confidence", "precision", "confusion", "false-positives", "examples"}) {
    CAPTURE(same);
    CHECK(without_causes(plain, same) == without_causes(of_run, same));
  }
  CHECK(count_of(plain, "//section[@id='data']") == 0);
  CHECK(contains(text(plain, "misses"), "False negatives: missed objects"));
  CHECK(count_of(plain, "//section[@id='misses']//h3[contains(.,'not proposed')]") == 0);
  CHECK(count_of(plain, "//section[@id='misses']//h3[contains(.,'lost in NMS')]") == 0);

  const std::string before = content_of(model);
  CHECK(contains(
      trial.refusal({"eval", "--weights", model, "--data", trial.path("data"), "--report", model, "--force"}),
      "--report"));
  CHECK(content_of(model) == before);
}

TEST_CASE("eval: --report of detections needs no images, and finds those of a COCO file") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.text("truth.json", kTruth), found = trial.text("found.json", kFound);
  const Words eval = {"eval", "--detections", found, "--data", truth, "--report", trial.path("eval.html")};
  const auto images = [&] {
    const Finished result = trial.run(eval);
    CAPTURE(result.err);
    REQUIRE(result.status == 0);
    pugi::xml_document page;
    parse(content_of(trial.folder / "eval.html"), page);
    CHECK(count_of(page, "//section[@id='precision']//div[@class='beside']//tbody/tr") == 3);
    // The dog is detected as a cow.
    CHECK(contains(text_at(page, "//section[@id='misses']//div[@class='causes']//h3"), "wrong class"));
    return count_of(page, "//img");
  };
  CHECK(images() == 0);
  write_png(trial.folder / "a.jpg", smooth_image(64, 48));
  CHECK(images() == 2);  // one image with objects, twice
  write_png(trial.folder / "b.jpg", smooth_image(64, 48));
  CHECK(images() == 5);  // two of them, and the second is one of the worst
}

TEST_CASE("eval: expects either a model or detections, but not both") {
  const Trial trial;
  if (!trial) return;
  CHECK(contains(trial.refusal({"eval", "--data", "x"}), "found neither"));
  CHECK(
      contains(trial.refusal({"eval", "--data", "x", "--weights", "y", "--detections", "z"}), "found both"));
  CHECK(contains(trial.refusal({"eval", "--data", "x", "--detections", "z", "--out", "w"}), "--out"));
}
