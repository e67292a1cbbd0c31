#include "train/report.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <pugixml.hpp>

#include "tests/data/fixtures.h"
#include "train/report_html.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

constexpr const char* kHostile = "<script src='http://x'>\"&\x01";
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ClassResult some_class(const std::string& name) {
  ClassResult result;
  result.name = name;
  result.truths = 3;
  result.detections = 4;
  result.ap_area = 0.75;
  result.ap_11point = 0.5;
  result.precision = {1, 0.5F, 2.0F / 3};
  result.recall = {0.33F, 0.33F, 0.67F};
  result.score = {0.9F, 0.8F, 0.7F};
  return result;
}

/// Every part of the page, with `text` wherever the page shows text.
ReportData full_report(const std::string& text) {
  ReportData data;
  data.title = data.subtitle = data.evaluated_on = text;
  data.highlights = data.facts = data.verbatim_facts = data.settings = {{text, text}};
  data.losses = {{text, {{1, 3}, {2, kNan}, {3, 1}}}, {text, {{1, 2}, {2, 1}}}};
  data.validation = {{text, {{2, 0.5}}}, {text, {{2, 0.25}}}};
  data.learning_rate = {text, {{1, 0.01}, {3, 0.001}}};
  data.result.classes = {some_class(text), some_class("nothing")};
  data.result.classes[1].truths = 0;
  data.result.map_area = 0.75;
  data.result.map_11point = 0.5;
  data.examples = {{smooth_image(40, 30), smooth_image(40, 30), text}};
  data.faults = {{text, text}};
  return data;
}

/// The page as a tree; fails the test where it is not well-formed.
void parse(const std::string& page, pugi::xml_document& document) {
  const pugi::xml_parse_result result = document.load_string(page.c_str());
  CAPTURE(result.description());
  CAPTURE(page.substr(static_cast<size_t>(std::max<ptrdiff_t>(0, result.offset - 80)), 160));
  REQUIRE(result.status == pugi::status_ok);
}

size_t count_of(const pugi::xml_document& document, const char* xpath) {
  return document.select_nodes(xpath).size();
}

std::string text_of(const std::string& text) {
  return base64(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace

TEST_CASE("report: text is escaped") {
  CHECK(escape_html("a<b>&\"'c") == "a&lt;b&gt;&amp;&quot;&#39;c");
  CHECK(escape_html("größe\n\t") == "größe\n\t");
  CHECK(escape_html(std::string("\0\x1b", 2)) == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("report: base64, the vectors of RFC 4648") {
  CHECK(text_of("") == "");
  CHECK(text_of("f") == "Zg==");
  CHECK(text_of("fo") == "Zm8=");
  CHECK(text_of("foo") == "Zm9v");
  CHECK(text_of("foob") == "Zm9vYg==");
  CHECK(text_of("fooba") == "Zm9vYmE=");
  CHECK(text_of("foobar") == "Zm9vYmFy");
  CHECK(text_of("\xFB\xFF\xFE") == "+//+");
}

TEST_CASE("report: every part is there, and well-formed") {
  pugi::xml_document document;
  parse(render_report(full_report("some text")), document);
  CHECK(std::string(document.child("html").child("head").child("title").text().get()) == "some text");
  CHECK(count_of(document, "//div[starts-with(@class,'tile') and @class!='tiles']") == 3);
  CHECK(count_of(document, "//dl/dd") == 2);
  CHECK(count_of(document, "//section") == 5);
  CHECK(count_of(document, "//figure[@class='chart']") == 5);
  CHECK(count_of(document, "//table/tbody/tr") == 2);
  CHECK(count_of(document, "//figure[@class='example']//img") == 2);
  CHECK(count_of(document, "//li") == 1);
  CHECK(count_of(document, "//circle") == 2);
  const auto cells = document.select_nodes("//table/tbody/tr[1]/td");
  REQUIRE(cells.size() == 5);
  CHECK(std::string(cells[1].node().text().get()) == "0.750");
  CHECK(std::string(cells[2].node().text().get()) == "0.500");
  CHECK(std::string(cells[3].node().text().get()) == "3");
  CHECK(std::string(cells[4].node().text().get()) == "4");
  CHECK(std::string(document.select_node("//table/tbody/tr[2]/td[2]").node().text().get()) == "–");
}

TEST_CASE("report: hostile names stay text, and nothing is loaded from elsewhere") {
  const std::string page = render_report(full_report(kHostile));
  pugi::xml_document document;
  parse(page, document);
  CHECK(count_of(document, "//script") == 0);
  CHECK(count_of(document, "//@*[starts-with(name(),'on')]") == 0);
  CHECK(count_of(document, "//link | //iframe | //a") == 0);
  CHECK(count_of(document, "//img[not(starts-with(@src,'data:image/'))]") == 0);
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "url("));
  CHECK_FALSE(contains(page, "@import"));
}

TEST_CASE("report: values that are not finite leave no trace in the charts") {
  ReportData data = full_report("x");
  data.examples.clear();  // base64 may hold any letters
  data.losses[0].points = {{1, kNan}, {2, std::numeric_limits<double>::infinity()}, {3, 1}, {kNan, 1}};
  data.losses[1].points = {{1, kNan}};
  const std::string page = render_report(data);
  CHECK_FALSE(contains(page, "nan"));
  CHECK_FALSE(contains(page, "inf"));
}

TEST_CASE("report: a single peak does not flatten a loss curve") {
  ReportData data;
  data.losses = {{"loss", {}}};
  for (int step = 0; step < 100; ++step)
    data.losses[0].points.push_back({double(step), step == 98 ? 1000.0 : 1.0});
  pugi::xml_document document;
  parse(render_report(data), document);
  const auto ticks = document.select_nodes("//figure//text[@text-anchor='end']");
  REQUIRE(ticks.size() >= 3);
  for (const auto& tick : ticks) CHECK(tick.node().text().as_double() < 500);  // 5 values are averaged
}

TEST_CASE("report: parts without content are left out") {
  pugi::xml_document document;
  parse(render_report({}), document);
  CHECK(count_of(document, "//section") == 0);
  CHECK(count_of(document, "//header/h1") == 1);

  ReportData data;
  data.losses = {{"loss", {}}};
  data.validation = {{"area", {}}};
  parse(render_report(data), document);
  CHECK(count_of(document, "//section") == 0);
}

TEST_CASE("report: a single step, constant and negative losses still make a chart") {
  ReportData data;
  data.losses = {{"one", {{1, 2}}}, {"zero", {{1, 0}, {2, 0}}}, {"negative", {{1, -1}, {2, -2}}}};
  const std::string page = render_report(data);
  pugi::xml_document document;
  parse(page, document);
  CHECK(count_of(document, "//figure") == 3);
  CHECK_FALSE(contains(page, "nan"));
  CHECK_FALSE(contains(page, "inf"));
}

TEST_CASE("report: many classes get a chart each, many faults are cut short") {
  ReportData data;
  for (int i = 0; i < 9; ++i) data.result.classes.push_back(some_class(std::to_string(i)));
  data.result.classes[4].truths = 0;
  data.faults.resize(205, {"file", "fault"});
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(count_of(document, "//figure") == 8);
  CHECK(count_of(document, "//li") == 201);
  CHECK(std::string(document.select_node("//li[201]").node().text().get()) == "and 5 more");
}

TEST_CASE("report: shrinking averages, and leaves small images alone") {
  const Image small = random_image(8, 6);
  CHECK(shrink_to_width(small, 8).rgb == small.rgb);
  Image stripes(4, 2);
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 4; ++x) stripes.pixel(x, y)[0] = static_cast<uint8_t>(x % 2 == 0 ? 100 : 200);
  const Image half = shrink_to_width(stripes, 2);
  REQUIRE(half.width == 2);
  REQUIRE(half.height == 1);
  CHECK(half.rgb == std::vector<uint8_t>{150, 0, 0, 150, 0, 0});
  const Image grey = shrink_to_width(
      [] {
        Image image(1001, 3);
        image.rgb.assign(image.rgb.size(), 77);
        return image;
      }(),
      480);
  CHECK(grey.height == 1);
  CHECK(grey.rgb == std::vector<uint8_t>(480 * 3, 77));
}

TEST_CASE("report: images wider than the page shows are scaled down") {
  ReportData data;
  data.examples = {{smooth_image(1000, 500), smooth_image(100, 50), ""}};
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(document.select_node("//img[1]").node().attribute("width").as_int() == 480);
  CHECK(document.select_node("//img[1]").node().attribute("height").as_int() == 240);
  CHECK(document.select_node("//div[2]/img").node().attribute("width").as_int() == 100);
  data.examples = {{Image(), Image(), ""}};
  CHECK_THROWS_AS(render_report(data), Error);
}

TEST_CASE("report: it is written whole") {
  const TemporaryFolder folder;
  const ReportData data = full_report("text");
  write_report(folder / "report.html", data);
  std::ifstream file(folder / "report.html", std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == render_report(data));
}
