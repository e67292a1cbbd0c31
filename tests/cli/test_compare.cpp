// `rcnn compare`: models and files of detections, compared on the same images.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/voc.h"
#include "tests/program.h"
#include "tests/report/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Words = std::vector<std::string>;
using Json = nlohmann::json;

struct Trial : ProgramTrial {
  std::string text(const std::string& name, const std::string& content) const {
    write_text(folder / name, content);
    return path(name);
  }
  Finished good(const Words& words) const {
    const Finished result = run(words);
    CAPTURE(result.err);
    REQUIRE(result.status == 0);
    return result;
  }
  /// The one sentence with which the command is refused.
  std::string refusal(const Words& words) const {
    const Finished result = run(words);
    CAPTURE(result.out);
    CHECK(result.status == 2);
    CHECK(result.err.starts_with("rcnn: "));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    return result.err;
  }
  Json json(const std::string& name) const { return Json::parse(std::ifstream(folder / name)); }

  /// A COCO file of eight images, each with a cat and every second one with a dog; `named` sets the second
  /// name.
  std::string truth(const std::string& named = "dog") const {
    Json file = {{"images", Json::array()},
                 {"categories", {{{"id", 7}, {"name", "cat"}}, {{"id", 3}, {"name", named}}}},
                 {"annotations", Json::array()}};
    for (int i = 0; i < 8; ++i) {
      file["images"].push_back({{"id", 100 + i}, {"file_name", fmt::format("{}.jpg", i)}});
      file["annotations"].push_back({{"image_id", 100 + i}, {"category_id", 7}, {"bbox", {0, 0, 20, 20}}});
      if (i % 2 == 0)
        file["annotations"].push_back({{"image_id", 100 + i}, {"category_id", 3}, {"bbox", {50, 0, 40, 40}}});
    }
    return text("truth.json", file.dump());
  }
  /// Detections of the first cats and dogs.
  std::string found(const std::string& name, int cats, int dogs) const {
    Json list = Json::array();
    for (int i = 0; i < cats; ++i)
      list.push_back({{"image_id", 100 + i}, {"category_id", 7}, {"bbox", {0, 0, 20, 20}}, {"score", 0.5}});
    for (int i = 0; i < dogs; ++i)
      list.push_back(
          {{"image_id", 100 + 2 * i}, {"category_id", 3}, {"bbox", {50, 0, 40, 40}}, {"score", 0.5}});
    return text(name, list.dump());
  }
  /// Trains a tiny model on data/, which has the splits train and test.
  void train(const std::string& run, const std::string& steps) const {
    if (!std::filesystem::exists(folder / "data")) {
      write_tiny_scenes(folder / "data", 4);
      write_tiny_scenes(folder / "data", 6, "test");
    }
    Words words = {"train", "--data", path("data"), "--out", path(run)};
    for (const auto& [key, text] : tiny_settings())
      words.insert(words.end(), {"--" + key, key == "steps" ? steps : text});
    good(words);
  }
};

}  // namespace

TEST_CASE("compare: two files of detections, with the differences that follow from what they lack") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.truth(), a = trial.found("a.json", 8, 1), b = trial.found("b.json", 6, 4);
  const Finished result = trial.good(
      {"compare", a, b, "--data", truth, "--json", trial.path("c.json"), "--out", trial.path("c.html")});
  CHECK(contains(result.out, "8 images, 12 objects"));
  CHECK(contains(result.out, "B makes fewer errors on 2 of 8 images and A on 1; on 5 they"));
  const Json json = trial.json("c.json");
  CHECK(json["ap50"]["cat"]["a"].get<double>() == doctest::Approx(1));
  CHECK(json["ap50"]["cat"]["b"].get<double>() == doctest::Approx(0.75));
  CHECK(json["ap50"]["cat"]["high"].get<double>() <= 0);
  CHECK(json["ap50"]["dog"]["difference"].get<double>() == doctest::Approx(0.75));
  CHECK(json["ap50"]["dog"]["low"].is_null());  // dogs on four images
  CHECK(json["figures"]["map50"]["a"].get<double>() == doctest::Approx(0.625));
  CHECK(json["figures"]["map50"]["b"].get<double>() == doctest::Approx(0.875));
  CHECK(json["figures"]["APs"]["difference"].get<double>() < 0);
  CHECK(json["won_by_a"][0] == Json({{"image", "7"}, {"errors_a", 0}, {"errors_b", 1}}));
  // The figures are those of eval.
  trial.good({"eval", "--detections", b, "--data", truth, "--json", trial.path("e.json")});
  const Json figures = trial.json("e.json");
  for (const char* key : {"map50", "AP", "AP50", "APs", "APm"})
    CHECK(json["figures"][key]["b"] == figures[key]);
  pugi::xml_document page;
  parse(content_of(trial.folder / "c.html"), page);
  CHECK(count_of(page, "//section[@id='classes']//tbody/tr") == 2);
  CHECK(count_of(page, "//img") == 0);  // the images do not exist

  CHECK(contains(trial.good({"compare", a, a, "--data", truth}).out, "A and B are the same on these images"));
  CHECK(contains(content_of(trial.folder / "c.html"), "<p>Compared by rcnn "));
  const std::string none = trial.text("none.json", "[]");
  CHECK(contains(trial.good({"compare", none, b, "--data", truth}).out, "B is better than A"));
  trial.good({"compare", a, b, "--data", truth, "--images", trial.text("list.txt", "6\n7\n"), "--json",
              trial.path("c.json")});
  CHECK(trial.json("c.json")["images"] == 2);
  CHECK(contains(trial.json("c.json")["verdict"].get<std::string>(), "cannot tell"));
  trial.good({"compare", a, b, "--data", truth, "--images", trial.text("list.txt", "0\n1\n"), "--json",
              trial.path("c.json")});  // on these they find the same
  CHECK(contains(trial.json("c.json")["verdict"].get<std::string>(), "are the same on these images"));
}

TEST_CASE("compare: a model equals the file of its detections, and pictures show where two models differ") {
  const Trial trial;
  if (!trial) return;
  trial.train("one", "1");
  trial.train("many", "200");  // enough that it shows something
  const std::string one = trial.path("one/best.safetensors"), many = trial.path("many/best.safetensors"),
                    data = trial.path("data"), found = trial.path("many/detections.json");
  const Words to_json = {"--data", data, "--json", trial.path("c.json"), "--out", trial.path("c.html")};
  const auto compare = [&](const std::string& a, const std::string& b) {
    Words words = {"compare", a, b};
    words.insert(words.end(), to_json.begin(), to_json.end());
    trial.good(words);
    return trial.json("c.json");
  };
  for (const auto& [a, b] : {std::pair{many, found}, {found, many}, {many, many}}) {
    const Json same = compare(a, b);
    CHECK(same["images"] == 6);
    for (const auto& [key, figure] : same["figures"].items()) CHECK(figure["a"] == figure["b"]);
    CHECK(same["won_by_a"].empty());
    CHECK(same["won_by_b"].empty());
  }
  const Json summary = trial.json("many/summary.json"), different = compare(one, many);
  CHECK(different["figures"]["map50"]["b"] == summary["map50"]);
  CHECK(different["figures"]["AP"]["b"] == summary["coco"]["AP"]);
  const size_t images = different["won_by_a"].size() + different["won_by_b"].size();
  CHECK(images > 0);
  CHECK(images <= 6);
  pugi::xml_document page;
  parse(content_of(trial.folder / "c.html"), page);
  CHECK(count_of(page, "//img") == 3 * images);
}

TEST_CASE("compare: what cannot be compared is refused with one sentence") {
  const Trial trial;
  if (!trial) return;
  const std::string truth = trial.truth(), a = trial.found("a.json", 8, 1);
  const auto refused = [&](const Words& words) {
    Words all = {"compare"};
    all.insert(all.end(), words.begin(), words.end());
    return trial.refusal(all);
  };
  CHECK(contains(refused({a, "--data", truth}), "b is required"));
  CHECK(contains(refused({a, trial.path("missing.json"), "--data", truth}),
                 "missing.json cannot be read: No such file"));
  CHECK(contains(refused({a, truth, "--data", truth}), "holds no list of detections"));
  const std::string other = trial.text(
      "other.json", R"([{"image_id": 100, "category_id": 9, "bbox": [0, 0, 9, 9], "score": 0.5}])");
  CHECK(
      contains(refused({a, other, "--data", truth}), "other.json: its categories, the first of them 9, are"));
  const std::string lost =
      trial.text("lost.json", R"([{"image_id": 5, "category_id": 7, "bbox": [0, 0, 9, 9], "score": 0.5}])");
  CHECK(contains(refused({a, lost, "--data", truth}), "a detection in the image 5, which"));
  const std::string before = content_of(a);
  CHECK(contains(refused({a, a, "--data", truth, "--json", a, "--force"}), "reads this file"));
  CHECK(content_of(a) == before);
  CHECK(contains(refused({a, a, "--data", truth, "--out", trial.text("mine.html", "x")}), "--force"));
  CHECK(content_of(trial.folder / "mine.html") == "x");
}

TEST_CASE("compare: models that know some of the data's classes are compared on those that both know") {
  const Trial trial;
  if (!trial) return;
  trial.train("run", "1");
  const std::string model = trial.path("run/best.safetensors"), data = trial.path("data");
  const Dataset scenes = read_voc(trial.folder / "data", "test");
  REQUIRE(scenes.classes.size() > 1);
  const auto rename = [&](const std::string& name, const std::string& file) {
    std::filesystem::path to = trial.folder / file;
    SafetensorsFile tensors = read_safetensors(model);
    Json classes = Json::parse(tensors.metadata.at("classes"));
    for (Json& entry : classes)
      if (name == "all" || entry == name) entry = "other " + entry.get<std::string>();
    tensors.metadata["classes"] = classes.dump();
    write_safetensors(to, listed(tensors), tensors.metadata);
    return to.string();
  };
  const std::string lacks = rename(scenes.classes[0], "lacks.safetensors"), alien = rename("all", "alien");
  const Finished result =
      trial.good({"compare", model, lacks, "--data", data, "--json", trial.path("c.json")});
  CHECK(contains(result.out, "both models know; left out: " + scenes.classes[0]));
  const Json json = trial.json("c.json");
  CHECK_FALSE(json["ap50"].contains(scenes.classes[0]));
  CHECK(json["ap50"].contains(scenes.classes[1]));
  for (const auto& [key, figure] : json["figures"].items()) CHECK(figure["a"] == figure["b"]);
  CHECK(contains(trial.refusal({"compare", model, alien, "--data", data}), "are none of those of"));
}
