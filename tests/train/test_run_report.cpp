#include "train/run_report.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "data/voc.h"
#include "tests/report/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

void read_page(const std::filesystem::path& folder, pugi::xml_document& document) {
  std::ifstream file(folder / "report.html", std::ios::binary);
  parse(std::string(std::istreambuf_iterator<char>(file), {}), document);
}

}  // namespace

TEST_CASE("run report: the page has the results that the run has, and no others") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 3);
  const Dataset data = read_voc(folder.path(), "train");
  RunOptions options = tiny_run(folder.path(), folder.path());
  options.model.anchor_sizes = {{11}, {22}};
  FinishedRun run;
  run.split = "train";
  run.result = evaluate_voc({}, data);
  pugi::xml_document document;
  write_run_report(folder.path(), options, run, data);
  read_page(folder.path(), document);
  for (const char* id : {"next", "data", "augmentation", "confidence", "confusion", "misses", "worst"}) {
    CAPTURE(id);
    CHECK(count_of(document, fmt::format("//section[@id='{}']", id).c_str()) == 0);
  }

  run.summaries = {some_summary("train")};
  run.augmented = {{"first", {smooth_image(64, 48), {}}}, {"second", {smooth_image(64, 48), {}}}};
  run.coco_figures = {{"average precision", 0.25}};
  run.diagnosis = diagnose({}, {}, data);
  write_run_report(folder.path(), options, run, data);
  read_page(folder.path(), document);
  for (const char* id : {"next", "data", "augmentation", "confusion", "misses", "worst"}) {
    CAPTURE(id);
    CHECK(count_of(document, fmt::format("//section[@id='{}']", id).c_str()) == 1);
  }
  CHECK(count_of(document, "//section[@id='augmentation']//div[@class='sheet']//img") == 2);
  CHECK(count_of(document, "//div[@id='overview']//div[@class='sheet']//img") == 1);  // the worst
  CHECK(count_of(document, "//div[@class='sheet']//img") == 2 + 1 + 3);               // and the examples
  CHECK(count_of(document, "//div[@class='gallery']//img") == 3);                     // all missed
  CHECK(count_of(document, "//section[@id='examples']//img") == 3);
  CHECK(text_at(document, "//table[@class='heat']/tbody/tr[1]/th") == data.classes[0]);
  CHECK(text_at(document, "//section[@id='data']//span[@class='note']") == "dashed: anchor sizes 11, 22");
  CHECK(contains(all_text(document, "//div[@id='overview']"), "mAP@.5:.95 (COCO): 0.250"));
}

TEST_CASE("run report: the first screen and summary.json have the same counts") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 4);
  const Dataset data = read_voc(folder.path(), "train");
  const RunOptions options = tiny_run(folder.path(), folder.path());
  FinishedRun run;
  run.split = "train";
  for (int i = 0; i < 4; ++i) {  // all objects of two images are found, and there are two false positives
    if (i < 2)
      for (const Object& object : data.samples[static_cast<size_t>(i)].objects)
        run.detections.push_back({i, object.label, 0.75F, object.box});
    else
      run.detections.push_back({i, 1, 0.7F, {0, 0, 2, 2}});
  }
  run.result = evaluate_voc(run.detections, data);
  run.diagnosis = diagnose(run.detections, {}, data);
  write_run_report(folder.path(), options, run, data);
  write_summary(folder / "summary.json", options, run, data);
  std::ifstream file(folder / "summary.json");
  const nlohmann::json diagnosis = nlohmann::json::parse(file).at("diagnosis");
  pugi::xml_document document;
  read_page(folder.path(), document);
  const std::string tiles = "//div[@id='overview']/div[@class='tiles']/div";
  CHECK(diagnosis.at("found").get<int>() > 0);
  CHECK(text_at(document, tiles + "[1]/b") ==
        fmt::format("{} of {}", diagnosis.at("found").get<int>(), diagnosis.at("objects").get<int>()));
  CHECK(text_at(document, tiles + "[2]/b") == fmt::format("{}", diagnosis.at("false_positives").get<int>()));
  double low = 1, high = 0;
  for (const auto& of_class : diagnosis.at("recommended")) {
    if (of_class.at("f1").get<double>() == 0) continue;
    low = std::min(low, of_class.at("score").get<double>());
    high = std::max(high, of_class.at("score").get<double>());
  }
  CHECK(text_at(document, tiles + "[3]/b") ==
        (low == high ? fmt::format("{:.2f}", low) : fmt::format("{:.2f} to {:.2f}", low, high)));
  CHECK(count_of(document, "//div[@id='overview']//figure") >= 2);
}

TEST_CASE("run report: the command has no --resume, so that it repeats the whole run") {
  const TemporaryFolder folder;
  RunOptions options = tiny_run(folder.path(), folder.path());
  const auto command = [&](const std::string& given) {
    options.command_line = given;
    write_run_report(folder.path(), options, {}, {});
    pugi::xml_document document;
    read_page(folder.path(), document);
    return text_at(document, "//section[@id='run']/dl/dt[.='Command']/following-sibling::dd[1]/code");
  };
  CHECK(command("rcnn train --data d --resume --out o") == "rcnn train --data d --out o");
  CHECK(command("rcnn train --data d --out o --resume") == "rcnn train --data d --out o");
  CHECK(command("rcnn train --resume=true --data d") == "rcnn train --data d");
  CHECK(command("rcnn train --data 'a --resume b' --out --resume-not") ==
        "rcnn train --data 'a --resume b' --out --resume-not");
  CHECK(command(R"(rcnn train --data 'it'\''s --resume x' --resume)") ==
        R"(rcnn train --data 'it'\''s --resume x')");
  CHECK(command(R"(rcnn train --data $'a\' --resume \xE9' --resume)") ==
        R"(rcnn train --data $'a\' --resume \xE9')");
}

TEST_CASE("run report: a run that ended by the clock is not called repeatable") {
  const TemporaryFolder folder;
  RunOptions options = tiny_run(folder.path(), folder.path());
  const auto repeatable = [&] {
    write_run_report(folder.path(), options, {}, {});
    pugi::xml_document document;
    read_page(folder.path(), document);
    return text_at(document, "//section[@id='run']/dl/dt[.='Repeatable']/following-sibling::dd[1]");
  };
  CHECK(repeatable().starts_with("yes"));
  options.train.minutes = 1;
  CHECK(repeatable().starts_with("no"));
}
