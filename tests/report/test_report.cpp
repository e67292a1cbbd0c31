#include "report/report.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "report/html.h"
#include "report/overlay.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::string text_of(const std::string& text) {
  return base64(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace

TEST_CASE("report: text is escaped") {
  CHECK(escape_html("a<b>&\"'c") == "a&lt;b&gt;&amp;&quot;&#39;c");
  CHECK(escape_html("größe\n\t") == "größe\n\t");
  CHECK(escape_html(std::string("\0\x1b\xE9", 3)) == "\\x00\\x1B\\xE9");
  CHECK(escape_html("a\n\n<").ends_with("a\n\n&lt;"));
}

TEST_CASE("report: base64 gives the test vectors of RFC 4648") {
  CHECK(text_of("") == "");
  CHECK(text_of("f") == "Zg==");
  CHECK(text_of("fo") == "Zm8=");
  CHECK(text_of("foo") == "Zm9v");
  CHECK(text_of("foob") == "Zm9vYg==");
  CHECK(text_of("fooba") == "Zm9vYmE=");
  CHECK(text_of("foobar") == "Zm9vYmFy");
  CHECK(text_of("\xFB\xFF\xFE") == "+//+");
}

TEST_CASE("report: options in a sentence are set as code, and the rest is escaped") {
  CHECK(advice_html("try --short-side, or <more>") == "try <code>--short-side</code>, or &lt;more&gt;");
  CHECK(advice_html("--a--b --") == "<code>--a--b</code> <code>--</code>");
  CHECK(advice_html("a - b") == "a - b");
  CHECK(advice_html("").empty());
}

TEST_CASE("report: shares are written as percentages") {
  CHECK(percent(0) == "0 %");
  CHECK(percent(1) == "100 %");
  CHECK(percent(0.366) == "37 %");
  CHECK(percent(0.0421) == "4.2 %");
  CHECK(percent(0.0996) == "10 %");
  CHECK(percent(kNan) == "0 %");
}

TEST_CASE("report: the page has every part and is well-formed") {
  pugi::xml_document document;
  parse(render_report(full_report("some text")), document);
  CHECK(std::string(document.child("html").child("head").child("title").text().get()) == "some text");
  CHECK(count_of(document, "//div[starts-with(@class,'tile') and @class!='tiles']") == 5);
  CHECK(count_of(document, "//dl/dd") == 2);
  CHECK(count_of(document, "//section") == 13);
  CHECK(count_of(document, "//section[@id='training']//figure[@class='chart']") == 4);
  CHECK(count_of(document, "//section[@id='examples']//img") == 1);
  CHECK(count_of(document, "//section[@id='faults']//li") == 1);
  CHECK(count_of(document, "//circle") == 2);
  const std::string rows = "//section[@id='precision']//div[@class='beside']//tbody/tr";
  CHECK(count_of(document, rows.c_str()) == 2);
  const char* expected[] = {"some text", "0.750", "0.500", "3", "4"};
  for (size_t i = 0; i < 5; ++i)
    CHECK(text_at(document, rows + "[1]/td[" + std::to_string(i + 1) + "]") == expected[i]);
  CHECK(text_at(document, rows + "[2]/td[2]") == "–");
  // Every link leads to a section, and every section after the first has one.
  CHECK(count_of(document, "//nav/a") == 12);
  for (const auto& link : document.select_nodes("//nav/a"))
    CHECK(count_of(document,
                   fmt::format("//section[@id='{}']", link.node().attribute("href").value() + 1).c_str()) ==
          1);
}

TEST_CASE("report: hostile names remain text, and nothing is loaded from elsewhere") {
  const std::string page = render_report(full_report(kHostile));
  pugi::xml_document document;
  parse(page, document);
  REQUIRE(count_of(document, "//script") == 1);  // the page's own
  CHECK(document.select_node("//script").node().text().get() == std::string(kPictureScript));
  CHECK(count_of(document, "//@*[starts-with(name(),'on')]") == 0);
  CHECK(count_of(document, "//link | //iframe | //a[not(starts-with(@href,'#'))]") == 0);
  CHECK(count_of(document, "//img[not(starts-with(@src,'data:image/'))]") == 0);
  CHECK(page.find("<script") == page.rfind("<script"));
  CHECK_FALSE(contains(page, "url("));
  CHECK_FALSE(contains(page, "@import"));
}

TEST_CASE("report: values that are not finite do not appear in the page") {
  ReportData data = full_report("x");
  data.examples.clear();  // base64 may hold any letters
  data.augmented.clear();
  data.worst.clear();
  data.good.clear();
  data.losses[0].points = {{1, kNan}, {2, std::numeric_limits<double>::infinity()}, {3, 1}, {kNan, 1}};
  data.losses[1].points = {{1, kNan}};
  data.validation[1].points = {{1, 0.5}, {2, kNan}};
  const auto nan = std::nanf("");
  data.coco_figures.push_back({"x", kNan});
  data.summaries[0].sizes = {nan, 0, -1, std::numeric_limits<float>::infinity(), 12};
  data.summaries[1].sizes = {};
  data.summaries[0].anchor_overlaps = {nan, nan};
  data.summaries[0].poorly_covered = kNan;
  data.anchor_sizes = {{nan, 16}};
  data.diagnosis->all.precision = {nan, nan, nan};
  data.diagnosis->classes[0].f1[1] = nan;
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

TEST_CASE("report: a single step, constant losses and negative losses give a chart") {
  ReportData data;
  data.losses = {{"one", {{1, 2}}}, {"zero", {{1, 0}, {2, 0}}}, {"negative", {{1, -1}, {2, -2}}}};
  const std::string page = render_report(data);
  pugi::xml_document document;
  parse(page, document);
  CHECK(count_of(document, "//figure") == 3);
  CHECK_FALSE(contains(page, "nan"));
  CHECK_FALSE(contains(page, "inf"));
}

TEST_CASE("report: with many classes each gets its own chart, and a long list of faults is cut short") {
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

TEST_CASE("report: shrinking averages pixels and does not change small images") {
  const Image small = random_image(8, 6);
  CHECK(shrink_to_fit(small, 8).rgb == small.rgb);
  Image stripes(4, 2);
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 4; ++x) stripes.pixel(x, y)[0] = static_cast<uint8_t>(x % 2 == 0 ? 100 : 200);
  const Image half = shrink_to_fit(stripes, 2);
  REQUIRE(half.width == 2);
  REQUIRE(half.height == 1);
  CHECK(half.rgb == std::vector<uint8_t>{150, 0, 0, 150, 0, 0});
  const auto grey = [](int width, int height) {
    Image image(width, height);
    image.rgb.assign(image.rgb.size(), 77);
    return image;
  };
  const Image flat = shrink_to_fit(grey(1001, 3), 480);
  CHECK(flat.height == 1);
  CHECK(flat.rgb == std::vector<uint8_t>(480 * 3, 77));
  const Image portrait = shrink_to_fit(grey(300, 1200), 480);
  CHECK(portrait.width == 120);
  CHECK(portrait.height == 480);
}

TEST_CASE("report: pictures larger than the page shows are scaled down with their boxes") {
  ReportData data;
  data.examples = {{smooth_image(1600, 1000), "", {}, {{{160, 200, 320, 400}, BoxKind::wrong, "", ""}}, ""},
                   {smooth_image(100, 50), "", {}, {}, ""}};
  pugi::xml_document document;
  parse(render_report(data), document);
  const auto attribute = [&](const char* xpath, const char* name) {
    return document.select_node(xpath).node().attribute(name).as_int();
  };
  CHECK(attribute("(//img)[1]", "width") == 800);
  CHECK(attribute("(//img)[1]", "height") == 500);
  CHECK(attribute("(//img)[2]", "width") == 100);
  CHECK(attribute("(//rect)[1]", "x") == 80);
  CHECK(attribute("(//rect)[1]", "y") == 100);
  CHECK(attribute("(//rect)[1]", "width") == 80);
  data.examples = {ReportPicture{}};
  CHECK_THROWS_AS(render_report(data), Error);
}

TEST_CASE("report: the file is the whole page") {
  const TemporaryFolder folder;
  const ReportData data = full_report("text");
  write_report(folder / "report.html", data);
  std::ifstream file(folder / "report.html", std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == render_report(data));
}

TEST_CASE("report: COCO's metrics are shown in two columns, and AP beside the mAP") {
  ReportData data;
  for (int i = 0; i < 12; ++i) data.coco_figures.push_back({fmt::format("figure {}", i), 0.05 * i});
  data.coco_figures[3].second = -1;
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string half = "//div[@class='halves']/div";
  CHECK(count_of(document, (half + "[1]//tbody/tr").c_str()) == 6);
  CHECK(count_of(document, (half + "[2]//tbody/tr").c_str()) == 6);
  CHECK(text_at(document, half + "[2]//tr[1]/td[1]") == "figure 6");
  CHECK(text_at(document, half + "[2]//tr[1]/td[2]") == "0.300");
  CHECK(text_at(document, half + "[1]//tr[4]/td[2]") == "–");
  // Beside the mAP, if there is one and objects to find.
  const char* remark = "//div[@id='overview']//div[@class='tile main']/small";
  CHECK(count_of(document, remark) == 0);
  data.result.classes = {some_class("x")};
  parse(render_report(data), document);
  CHECK(text_at(document, remark) == "mAP@.5:.95 (COCO): 0.000");
  data.coco_figures[0].second = -1;
  parse(render_report(data), document);
  CHECK(count_of(document, remark) == 0);
}
