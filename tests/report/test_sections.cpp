// The report's sections on dataset, thresholds, confusion matrix, missed objects and worst images.
#include <fmt/format.h>

#include <cmath>

#include "report/html.h"
#include "report/report.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// All text within the elements that match.
std::string all_text(const pugi::xml_document& document, const std::string& xpath) {
  std::string text;
  for (const auto& node : document.select_nodes((xpath + "//text()").c_str())) text += node.node().value();
  return text;
}

/// A diagnosis with `count` classes, which misses objects and confuses each class with the next one.
ReportData many_classes(size_t count) {
  ReportData data;
  Diagnosis diagnosis;
  diagnosis.all = some_curve();
  diagnosis.confusion = Confusion(count + 1);
  for (size_t i = 1; i <= count; ++i) {
    data.classes.push_back(fmt::format("class {}", i));
    diagnosis.classes.push_back(some_curve());
    diagnosis.confusion[i][i] = 10;
    diagnosis.confusion[i][0] = static_cast<int64_t>(i);
    if (i < count) diagnosis.confusion[i][i + 1] = static_cast<int64_t>(2 * i);
  }
  diagnosis.objects_by_size = {1, 0, 0};
  data.diagnosis = diagnosis;
  return data;
}

}  // namespace

TEST_CASE("report: the figures of the dataset are those of the summary") {
  pugi::xml_document document;
  ReportData data = full_report("train");
  data.summaries[1].split = "val";
  data.summaries[1].classes[0].boxes = 17;
  parse(render_report(data), document);
  const std::string section = "//section[@id='data']";
  const char* expected[] = {"train", "7", "1", "4", "2", "640 × 480", "320 × 200", "1024 × 768", "25 %"};
  for (size_t i = 0; i < 9; ++i)
    CHECK(text_at(document, fmt::format("({}//table)[1]/tbody/tr[1]/td[{}]", section, i + 1)) == expected[i]);
  // The objects and images of the first split, and the objects of val.
  CHECK(text_at(document, "(" + section + "//table)[2]/tbody/tr[1]/td[2]") == "3");
  CHECK(text_at(document, "(" + section + "//table)[2]/tbody/tr[1]/td[3]") == "2");
  CHECK(text_at(document, "(" + section + "//table)[2]/tbody/tr[1]/td[4]") == "17");
  // The sizes 10, 20, and 40 with 41 give three columns for the first split; the overlaps 0.3, 0.6, 0.7 and
  // 1 give four.
  CHECK(count_of(document, "(//section[@id='data']//svg[@role])[1]//rect") == 3);
  CHECK(count_of(document, "(//section[@id='data']//svg[@role])[2]//rect") == 4);
  // One mark per anchor size.
  CHECK(count_of(document, "(//section[@id='data']//svg[@role])[1]//line[@stroke-dasharray]") == 3);
  CHECK(contains(all_text(document, section), "below .5: 25 % of train, 25 % of val"));
  CHECK(contains(all_text(document, section), "16, 32, 64"));
}

TEST_CASE("report: a split without boxes has a table and no charts") {
  ReportData data;
  DataSummary empty;
  empty.split = "train";
  data.summaries = {empty};
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(count_of(document, "//section[@id='data']//table") == 1);
  CHECK(text_at(document, "//table/tbody/tr/td[9]") == "–");
  CHECK(count_of(document, "//figure") == 0);
  CHECK(count_of(document, "//section") == 1);
}

TEST_CASE("report: the next steps list each advice once, and the most frequent causes in order") {
  ReportData data = full_report("text");
  data.diagnosis->misses_by_size[2] = {0, 1, 1, 3, 0};
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string item = "//section[@id='next']//li";
  REQUIRE(count_of(document, item.c_str()) == 5);  // "text" once, 3 of 4 causes, false positives
  CHECK(contains(all_text(document, item + "[1]"), "Dataset (text):"));
  CHECK(contains(all_text(document, item + "[2]"), "5 of 11 missed objects: wrong class."));
  CHECK(contains(all_text(document, item + "[2]"), advice_for(MissCause::wrong_class)));
  CHECK(contains(all_text(document, item + "[3]"), "4 of 11 missed objects: not proposed."));
  // Of causes with the same count the first is listed.
  CHECK(contains(all_text(document, item + "[4]"), "1 of 11 missed objects: low score."));
  CHECK(contains(all_text(document, item + "[5]"), "4 of 19 detections are false positives"));
  data.diagnosis->confusion[1][1] = 11;  // 4 of 21 are less than a fifth
  parse(render_report(data), document);
  CHECK(count_of(document, item.c_str()) == 4);
}

TEST_CASE("report: the table of recommended thresholds by class") {
  pugi::xml_document document;
  parse(render_report(full_report("cat")), document);
  const std::string row = "//section[@id='scores']//tbody/tr";
  const char* expected[] = {"cat", "0.50", "0.682", "0.750", "0.625"};
  for (size_t i = 0; i < 5; ++i)
    CHECK(text_at(document, fmt::format("{}[1]/td[{}]", row, i + 1)) == expected[i]);
  for (size_t i = 2; i <= 5; ++i) CHECK(text_at(document, fmt::format("{}[2]/td[{}]", row, i)) == "–");
  CHECK(count_of(document, "//section[@id='scores']//figure") == 2);
  CHECK(count_of(document, "(//section[@id='scores']//svg[@role])[1]//path") == 3);
  CHECK(count_of(document, "(//section[@id='scores']//svg[@role])[2]//line[@stroke-dasharray]") == 1);
}

TEST_CASE("report: the confusion matrix has the classes first and the background last") {
  pugi::xml_document document;
  parse(render_report(full_report("cat")), document);
  const std::string row = "//table[@class='heat']/tbody/tr";
  REQUIRE(count_of(document, row.c_str()) == 3);
  const char* expected[3][3] = {{"9", "2", "5"}, {"0", "4", "0"}, {"3", "1", ""}};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j)
      CHECK(text_at(document, fmt::format("{}[{}]/td[{}]", row, i + 1, j + 1)) == expected[i][j]);
  CHECK(text_at(document, row + "[1]/td[1]/small") == "56 %");  // 9 of 16
  CHECK(text_at(document, row + "[3]/th") == "background");
  // A full diagonal cell is blue.
  CHECK(std::string(document.select_node((row + "[2]/td[2]").c_str()).node().attribute("style").value()) ==
        "background:#8fb0f5");
}

TEST_CASE("report: with many classes lists replace the confusion matrix") {
  pugi::xml_document document;
  ReportData data = many_classes(80);
  parse(render_report(data), document);
  CHECK(count_of(document, "//table[contains(@class,'heat')]") == 0);
  const std::string lists = "//section[@id='confusion']//div[@class='lists']/div";
  REQUIRE(count_of(document, lists.c_str()) == 2);  // there are no detections without an object
  CHECK(count_of(document, (lists + "[1]//tbody/tr").c_str()) == 12);
  CHECK(text_at(document, lists + "[1]//tbody/tr[1]/td[1]") == "class 79");
  CHECK(text_at(document, lists + "[1]//tbody/tr[1]/td[2]") == "class 80");
  CHECK(text_at(document, lists + "[1]//tbody/tr[1]/td[3]") == "158");
  CHECK(text_at(document, lists + "[1]//tbody/tr[1]/td[4]") == "64 %");  // of 10 + 79 + 158
  CHECK(text_at(document, lists + "[2]//tbody/tr[1]/td[1]") == "class 80");
  CHECK(text_at(document, lists + "[2]//tbody/tr[1]/td[2]") == "80");
  CHECK(count_of(document, "//section[@id='scores']//figure") == 1);
  CHECK(count_of(document, "//section[@id='scores']//tbody/tr") == 80);
  CHECK(count_of(document, "//section[@id='scores']//div[@class='scroll tall']") == 1);

  parse(render_report(many_classes(16)), document);
  CHECK(count_of(document, "//table[@class='heat upright']//td") == 17 * 17);
}

TEST_CASE("report: with one class the matrix has four cells, and one chart shows the thresholds") {
  pugi::xml_document document;
  ReportData data = many_classes(1);
  parse(render_report(data), document);
  CHECK(count_of(document, "//table[@class='heat']//td") == 4);
  CHECK(count_of(document, "//section[@id='scores']//figure") == 1);
}

TEST_CASE("report: without detections no threshold is recommended") {
  ReportData data;
  data.classes = {"cat"};
  Diagnosis diagnosis;
  const ScoreCurve nothing{{0, 1}, {1, 1}, {0, 0}, {0, 0}};
  diagnosis.all = nothing;
  diagnosis.classes = {nothing};
  diagnosis.confusion = {{0, 0}, {3, 0}};
  diagnosis.misses_by_size[0][0] = 3;
  diagnosis.objects_by_size[0] = 3;
  data.diagnosis = diagnosis;
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(count_of(document, "//section[@id='scores']") == 0);
  CHECK(count_of(document, "//table[@class='heat']") == 1);
  CHECK(contains(all_text(document, "//div[@class='stack']"), "0 of 3 found, recall 0 %"));

  data.diagnosis = Diagnosis{};  // an empty dataset
  parse(render_report(data), document);
  CHECK(count_of(document, "//section") == 0);
}

TEST_CASE("report: missed objects by size and cause") {
  pugi::xml_document document;
  parse(render_report(full_report("x")), document);
  REQUIRE(count_of(document, "//div[@class='stack']") == 3);
  const auto label = [&](int row) {
    return std::string(document.select_node(fmt::format("//div[@class='stack'][{}]/div", row).c_str())
                           .node()
                           .attribute("aria-label")
                           .value());
  };
  CHECK(label(1) == "4 of 8 small objects found, 4 not proposed");
  CHECK(label(2) == "8 of 10 medium objects found, 2 wrong class");
  CHECK(label(3) == "1 of 2 large objects found, 1 low score");
  CHECK(std::string(
            document.select_node("//div[@class='stack'][2]/div/b[1]").node().attribute("style").value()) ==
        "width:80.00%;background:#dfe4ec");
  CHECK(std::string(
            document.select_node("//div[@class='stack'][2]/div/b[2]").node().attribute("style").value()) ==
        "width:20.00%;background:#fb6f24");
  REQUIRE(count_of(document, "//div[@class='causes']/div") == 3);
  CHECK(contains(all_text(document, "//div[@class='causes']/div[1]"), "not proposed4"));
  CHECK(contains(all_text(document, "//div[@class='causes']/div[1]"), "4 small"));
  CHECK(contains(all_text(document, "//div[@class='causes']/div[1]"), advice_for(MissCause::not_proposed)));
}

TEST_CASE("report: a worst image has at most six remarks on its errors") {
  ReportData data;
  data.worst = {{smooth_image(40, 30), "first", {"a", "b"}}, {smooth_image(40, 30), "second", {}}};
  data.worst[1].remarks.assign(9, "c");
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(text_at(document, "//div[@class='gallery']/figure[1]/figcaption") == "first");
  CHECK(count_of(document, "//div[@class='gallery']/figure[1]//li") == 2);
  CHECK(std::string(
            document.select_node("//div[@class='gallery']/figure[1]//img").node().attribute("alt").value()) ==
        "first; a; b");
  CHECK(count_of(document, "//div[@class='gallery']/figure[2]//li") == 7);
  CHECK(text_at(document, "//div[@class='gallery']/figure[2]//li[7]") == "and 3 more");
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
  CHECK(text_at(document, "//div[@class='tile']/b") == "0.000");
  data.coco_figures[0].second = -1;  // there are no objects
  parse(render_report(data), document);
  CHECK(count_of(document, "//div[@class='tile']") == 0);
}
