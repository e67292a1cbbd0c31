// The report's sections on dataset, thresholds and confusion matrix.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "eval/coco_metrics.h"
#include "report/html.h"
#include "report/report.h"
#include "report/sections.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

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

TEST_CASE("report: advice is ranked by the objects that are lost, then by the false positives") {
  ReportData data = full_report("text");
  data.diagnosis->misses_by_size[2] = {0, 1, 1, 3, 1};
  data.diagnosis->false_positives = {7, 3, 1, 0, 9};
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string item = "//section[@id='next']//ol/li";
  REQUIRE(count_of(document, item.c_str()) == 6);  // 4 causes, 2 of 3 kinds of false positives
  CHECK(contains(all_text(document, item + "[1]"), "5 of 12 missed objects: wrong class."));
  CHECK(contains(all_text(document, item + "[1]"), advice_for(MissCause::wrong_class)));
  CHECK(contains(all_text(document, item + "[2]"), "4 of 12 missed objects: not proposed."));
  // Of causes with the same count, the first.
  CHECK(contains(all_text(document, item + "[3]"), "1 of 12 missed objects: low score."));
  CHECK(contains(all_text(document, item + "[4]"), "1 of 12 missed objects: lost in NMS."));
  CHECK(contains(all_text(document, item + "[5]"), "9 of 20 false positives: background."));
  CHECK(contains(all_text(document, item + "[5]"), advice_for(FalsePositive::background)));
  CHECK(contains(all_text(document, item + "[6]"), "3 of 20 false positives: duplicate."));
  // The five detections that lie on the five objects of another class are the same errors; two are left.
  data.diagnosis->false_positives = {7, 1, 1, 0, 9};
  parse(render_report(data), document);
  CHECK(contains(all_text(document, item + "[6]"), "2 of 18 false positives: wrong class."));
  // What is rare gets no advice.
  data.diagnosis->misses_by_size[2] = {96, 0, 4, 0, 0};
  data.diagnosis->false_positives = {0, 4, 0, 0, 96};
  parse(render_report(data), document);
  REQUIRE(count_of(document, item.c_str()) == 2);
  CHECK(contains(all_text(document, item + "[1]"), "100 of 106 missed objects: not proposed."));
  // What is said of both splits is listed once.
  CHECK(count_of(document, "//section[@id='next']/ul/li") == 1);
  CHECK(all_text(document, "//section[@id='next']/ul/li") == "text: text");
}

TEST_CASE("report: localisation errors are not counted as background") {
  ReportData data;
  data.diagnosis = some_diagnosis();
  data.diagnosis->misses_by_size = {};
  data.diagnosis->false_positives = {0, 0, 5, 0, 1};
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string item = "//section[@id='next']//ol/li";
  REQUIRE(count_of(document, item.c_str()) == 2);
  CHECK(contains(all_text(document, item + "[1]"), "5 of 6 false positives: poorly placed."));
  CHECK(contains(all_text(document, item + "[2]"), "1 of 6 false positives: background."));
}

TEST_CASE("report: the first screen has the counts of the diagnosis, the threshold, and four pictures") {
  ReportData data = full_report("text");
  data.good.assign(5, some_picture("fine"));
  data.worst = {some_picture("bad"), some_picture("less bad")};
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string tile = "//div[@id='overview']/div[@class='tiles']/div";
  REQUIRE(count_of(document, tile.c_str()) == 4);
  CHECK(all_text(document, tile + "[1]") == "13 of 20objects foundrecall 65 %");
  CHECK(all_text(document, tile + "[2]") ==
        "6false alarms (false positives)of 19 detections; precision 68 %");
  CHECK(contains(all_text(document, tile + "[3]"), "0.50recommended confidence threshold"));
  CHECK(all_text(document, tile + "[4]") == "0.750mAP@.5mAP@.5:.95 (COCO): 0.375");
  const std::string figure = "//div[@id='overview']//figure";
  REQUIRE(count_of(document, figure.c_str()) == 4);
  CHECK(all_text(document, figure + "[1]/figcaption") == "Bestfinefine");
  CHECK(all_text(document, figure + "[3]/figcaption") == "Bestfinefine");
  CHECK(all_text(document, figure + "[4]/figcaption") == "Worstbadbad");
  // Two classes with different thresholds.
  data.diagnosis->classes[1] = some_curve();
  data.diagnosis->classes[1].best_score = 0.25F;
  parse(render_report(data), document);
  CHECK(contains(all_text(document, tile + "[3]"), "0.25 to 0.50"));
  CHECK(contains(all_text(document, tile + "[3]"), "one for all classes: 0.50"));
  // It comes before everything else.
  CHECK(std::string(document.select_node("//main/*[2]").node().attribute("id").value()) == "overview");
  CHECK(std::string(document.select_node("//main/*[3]").node().attribute("id").value()) == "next");
}

TEST_CASE("report: false positives by kind") {
  pugi::xml_document document;
  parse(render_report(full_report("x")), document);
  const std::string section = "//section[@id='false-positives']";
  REQUIRE(count_of(document, (section + "//div[@class='stack']").c_str()) == 1);
  CHECK(std::string(document.select_node((section + "//div[@class='stack']/div").c_str())
                        .node()
                        .attribute("aria-label")
                        .value()) ==
        "13 of 19 detections correct, 2 wrong class, 2 background, 1 duplicate, 1 poorly placed");
  CHECK(count_of(document, (section + "//div[@class='causes']/div").c_str()) == 4);
  CHECK(contains(all_text(document, section + "//div[@class='causes']/div[1]"), "wrong class2"));
}

TEST_CASE("report: precision is drawn only where something is found") {
  ReportData data;
  data.diagnosis = some_diagnosis();
  // Nothing is found from .75 on; at .5 what is found is wrong.
  data.diagnosis->all = {{0, 0.25F, 0.5F, 0.75F, 1},
                         {0.5F, 1, 0, 1, 1},
                         {1, 0.5F, 0, 0, 0},
                         {0.67F, 0.67F, 0, 0, 0},
                         0.25F,
                         0.67F};
  pugi::xml_document document;
  parse(render_report(data), document);
  const auto points = [&](int line) {
    const std::string path =
        document
            .select_node(
                fmt::format("(//section[@id='confidence']//figure)[1]/svg/svg/path[{}]", line).c_str())
            .node()
            .attribute("d")
            .value();
    return std::count(path.begin(), path.end(), 'L') + 1;
  };
  CHECK(points(1) == 3);  // F1, up to its first zero
  CHECK(points(2) == 3);  // precision
  CHECK(points(3) == 3);  // recall
}

TEST_CASE("report: curves have names and dashes of their own, and axes have titles") {
  ReportData data = full_report("cat");
  data.diagnosis->classes[1] = some_curve();
  data.result.classes[1].truths = 2;
  pugi::xml_document document;
  parse(render_report(data), document);
  for (const auto& found : document.select_nodes("//figure[@class='chart']/svg")) {
    CAPTURE(found.node().attribute("aria-label").value());
    CHECK(found.node().select_nodes("text[@class='axis-title']").size() == 2);
    const auto lines = found.node().select_nodes("svg/path[@stroke and @stroke-opacity='1']");
    if (lines.size() < 2) continue;
    CHECK(found.node().select_nodes("text[@class='curve']").size() == lines.size());
    std::set<std::string> dashes;
    for (const auto& line : lines) dashes.insert(line.node().attribute("stroke-dasharray").value());
    CHECK(dashes.size() == lines.size());
  }
  CHECK(all_text(document, "(//section[@id='precision']//figure)[1]//text[@class='axis-title']") ==
        "recallprecision");
  CHECK(all_text(document, "(//section[@id='precision']//figure)[1]//text[@class='curve']") == "catnothing");
  CHECK(all_text(document, "(//section[@id='confidence']//figure)[1]//text[@class='axis-title']") ==
        "confidence thresholdprecision, recall, F1");
}

TEST_CASE("report: the difference between the mAP and COCO's AP50 is explained where both are known") {
  ReportData data = full_report("x");
  data.coco_figures = {{kCocoFigures[0].words, 0.375}, {kCocoFigures[1].words, 0.625}};
  pugi::xml_document document;
  parse(render_report(data), document);
  const std::string section = "//section[@id='precision']";
  CHECK(contains(all_text(document, section), "Why mAP@.5 (0.750) and COCO's AP at IoU .50 (0.625) differ."));
  data.coco_figures[1].second = 0.75;
  parse(render_report(data), document);
  CHECK(contains(all_text(document, section), "can differ."));
  data.coco_figures[1].second = -1;
  parse(render_report(data), document);
  CHECK_FALSE(contains(all_text(document, section), "Why"));
}

TEST_CASE("report: the headings are the words of the field") {
  pugi::xml_document document;
  parse(render_report(full_report("x")), document);
  std::string headings;
  for (const auto& heading : document.select_nodes("//h2"))
    headings += heading.node().text().get() + std::string("; ");
  for (const char* word : {"Confusion matrix", "Confidence threshold", "precision, recall and F1",
                           "False negatives", "False positives", "Precision-recall curve",
                           "average precision (AP)", "Training", "loss", "mAP", "learning rate", "Dataset"})
    CHECK_MESSAGE(contains(headings, word), word);
}

TEST_CASE("report: without a validation split the section on training says nothing of one") {
  ReportData data = full_report("x");
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(contains(all_text(document, "//section[@id='training']/p"), "If the validation mAP falls"));
  data.validation.clear();
  parse(render_report(data), document);
  CHECK(text_at(document, "//section[@id='training']/h2") == "Training: loss and learning rate");
  CHECK_FALSE(contains(all_text(document, "//section[@id='training']"), "validation"));
}

TEST_CASE("report: training images and settings are folded") {
  pugi::xml_document document;
  parse(render_report(full_report("x")), document);
  CHECK(count_of(document, "//section[@id='augmentation']/details[not(@open)]//img") == 1);
  CHECK(count_of(document, "//section[@id='run']/details[not(@open)]/div[@class='settings']") == 1);
  CHECK(count_of(document, "//section[@id='run']/dl") == 1);  // the command is not
}

TEST_CASE("report: the table of recommended thresholds by class") {
  pugi::xml_document document;
  parse(render_report(full_report("cat")), document);
  const std::string row = "//section[@id='confidence']//tbody/tr";
  const char* expected[] = {"cat", "0.50", "0.682", "0.750", "0.625"};
  for (size_t i = 0; i < 5; ++i)
    CHECK(text_at(document, fmt::format("{}[1]/td[{}]", row, i + 1)) == expected[i]);
  for (size_t i = 2; i <= 5; ++i) CHECK(text_at(document, fmt::format("{}[2]/td[{}]", row, i)) == "–");
  CHECK(count_of(document, "//section[@id='confidence']//figure") == 2);
  CHECK(count_of(document, "(//section[@id='confidence']//svg[@role])[1]//path") == 3);
  CHECK(count_of(document, "(//section[@id='confidence']//svg[@role])[2]//line[@stroke-dasharray]") == 1);
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
  // A full diagonal cell has the full shade.
  const pugi::xml_node full = document.select_node((row + "[2]/td[2]").c_str()).node();
  CHECK(std::string(full.attribute("style").value()) == "--share:1.00");
  CHECK(std::string(full.attribute("class").value()) == "hit");
  CHECK(std::string(document.select_node((row + "[1]/td[2]").c_str()).node().attribute("class").value()) ==
        "slip");
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
  CHECK(count_of(document, "//section[@id='confidence']//figure") == 1);
  CHECK(count_of(document, "//section[@id='confidence']//tbody/tr") == 80);
  CHECK(count_of(document, "//section[@id='confidence']//div[@class='scroll tall']") == 1);

  parse(render_report(many_classes(16)), document);
  CHECK(count_of(document, "//table[@class='heat upright']//td") == 17 * 17);
}

TEST_CASE("report: with one class the matrix has four cells, and one chart shows the thresholds") {
  pugi::xml_document document;
  ReportData data = many_classes(1);
  parse(render_report(data), document);
  CHECK(count_of(document, "//table[@class='heat']//td") == 4);
  CHECK(count_of(document, "//section[@id='confidence']//figure") == 1);
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
  CHECK(count_of(document, "//section[@id='confidence']") == 0);
  CHECK(count_of(document, "//table[@class='heat']") == 1);
  CHECK(contains(all_text(document, "//div[@class='stack']"), "0 of 3 found, recall 0 %"));
  CHECK(contains(all_text(document, "//div[@class='tiles']"), "0 of 3objects found"));
  CHECK(contains(all_text(document, "//div[@class='tiles']"), "no detections"));

  data.diagnosis = Diagnosis{};  // an empty dataset
  parse(render_report(data), document);
  CHECK(count_of(document, "//section") == 0);
}
