// The page of a comparison, parsed.
#include "core/files/output.h"
#include "eval/coco_metrics.h"
#include "report/comparison.h"
#include "report/overlay.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Twelve images with one object each. A finds none, B those of the first ten and something wrong in the
/// last.
struct Compared {
  Dataset data;
  Comparison comparison;

  explicit Compared(const std::filesystem::path& folder, const std::string& name = "thing") {
    data.classes = {name, "nothing"};
    Findings a, b;
    for (int i = 0; i < 12; ++i) {
      const std::filesystem::path image = folder / fmt::format("{}.png", i);
      if (i != 5) write_png(image, smooth_image(64, 48));
      data.samples.push_back({fmt::format("{}{}", name, i), image, 64, 48, {{{10, 10, 30, 30}, 1}}});
      if (i < 10) b.detections.push_back({i, 1, 0.9F, {10, 10, 30, 30}});
    }
    b.detections.push_back({11, 1, 0.95F, {40, 10, 60, 30}});
    b.results = coco_results(b.detections, data);
    comparison = compare(a, b, data, coco_annotations(data));
  }
};

}  // namespace

TEST_CASE("comparison page: verdict, figures with intervals, and the images that either wins") {
  const TemporaryFolder folder;
  const Compared test(folder.path());
  const std::string page = render_comparison(
      {"A & B", "some version", {{"A", "a.json"}}, {{"Command", "rcnn"}}}, test.comparison, test.data);
  pugi::xml_document document;
  parse(page, document);
  CHECK(contains(page, kWrittenHere));
  CHECK(text_at(document, "//h1") == "A & B");
  CHECK(contains(text_at(document, "//p[@class='verdict']"),
                 "B is better than A: its mAP@.5 is higher by 0.7"));
  CHECK(count_of(document, "//dl/dd") == 2);
  const std::string rows = "//section[@id='figures']//tbody/tr";
  CHECK(count_of(document, rows.c_str()) == 5);  // without medium and large objects
  CHECK(text_at(document, rows + "[1]/td[1]") == "mAP@.5");
  CHECK(text_at(document, rows + "[1]/td[2]") == "0.000");
  CHECK(text_at(document, rows + "[1]/td[7]") == "B");
  CHECK(count_of(document, (rows + "[1]//line").c_str()) == 2);  // the mark at 0 and the interval
  CHECK(count_of(document, "//section[@id='classes']//tbody/tr") == 1);
  // Ten images are won, one of which cannot be read, and eight are shown; one is lost.
  CHECK(count_of(document, "//section[@id='won']//div[@class='trio']") == 8);
  CHECK(count_of(document, "//section[@id='won']//h3[.='thing5']") == 0);
  CHECK(contains(text_at(document, "//section[@id='won']/p[1]"), "8 of 10"));
  CHECK(count_of(document, "//section[@id='lost']//img") == 3);
  CHECK(text_at(document, "//section[@id='lost']//div[@class='trio']/h3") == "thing11");
  CHECK(text_at(document, "//section[@id='lost']//div[@class='trio']/div[2]/span") ==
        "A: 1 missed, 0 wrong, 0 correct");
  CHECK(text_at(document, "//section[@id='lost']//div[@class='trio']/div[3]/span") ==
        "B: 1 missed, 1 wrong, 0 correct");
  CHECK(count_of(document, "//section[@id='lost']//div[@class='trio']/div[3]//li") == 2);
}

TEST_CASE("comparison page: hostile names remain text, and no number is NaN") {
  const TemporaryFolder folder;
  const Compared test(folder.path(), kHostile);
  const std::string page = render_comparison(
      {kHostile, kHostile, {{kHostile, kHostile}}, {{kHostile, kHostile}}}, test.comparison, test.data);
  pugi::xml_document document;
  parse(page, document);
  REQUIRE(count_of(document, "//script") == 1);  // the page's own
  CHECK(document.select_node("//script").node().text().get() == std::string(kPictureScript));
  CHECK(count_of(document, "//@*[starts-with(name(),'on')]") == 0);
  CHECK(count_of(document, "//img[not(starts-with(@src,'data:image/'))]") == 0);
  CHECK(page.find("<script") == page.rfind("<script"));
  Compared without = test;
  for (Sample& sample : without.data.samples) sample.image = "none.png";
  const std::string plain = render_comparison({}, without.comparison, without.data);
  for (const char* word : {"nan", "inf", "<img"}) CHECK_FALSE(contains(plain, word));
}

TEST_CASE("comparison page: without an image there is a page without figures") {
  Dataset none;
  none.classes = {"thing"};
  pugi::xml_document document;
  parse(render_comparison({}, compare({}, {}, none, {}), none), document);
  CHECK(count_of(document, "//section") == 1);
  CHECK(contains(text_at(document, "//p[@class='verdict']"), "no objects"));
}
