#include "train/run_report.h"

#include <fstream>
#include <iterator>

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
  for (const char* id : {"next", "data", "augmentation", "scores", "confusion", "misses", "worst"}) {
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
  CHECK(count_of(document, "//div[@class='sheet']//img") == 2);
  CHECK(count_of(document, "//div[@class='gallery']//img") == 3);  // all missed
  CHECK(text_at(document, "//table[@class='heat']/tbody/tr[1]/th") == data.classes[0]);
  CHECK(text_at(document, "//section[@id='data']//span[@class='note']") == "dashed: anchor sizes 11, 22");
  CHECK(text_at(document, "//div[@class='tile'][2]/b") == "0.250");
}
