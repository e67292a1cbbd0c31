// The report's sections on missed objects and worst images.
#include <fmt/format.h>

#include "report/html.h"
#include "report/report.h"
#include "report/sections.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("report: missed objects by size and cause") {
  pugi::xml_document document;
  parse(render_report(full_report("x")), document);
  const std::string misses = "//section[@id='misses']";
  REQUIRE(count_of(document, (misses + "//div[@class='stack']").c_str()) == 3);
  const auto label = [&](int row) {
    return std::string(
        document.select_node(fmt::format("{}//div[@class='stack'][{}]/div", misses, row).c_str())
            .node()
            .attribute("aria-label")
            .value());
  };
  CHECK(label(1) == "4 of 8 small objects found, 4 not proposed");
  CHECK(label(2) == "8 of 10 medium objects found, 2 wrong class");
  CHECK(label(3) == "1 of 2 large objects found, 1 low score");
  const auto part = [&](int i) {
    return document.select_node(fmt::format("{}//div[@class='stack'][2]/div/b[{}]", misses, i).c_str())
        .node();
  };
  CHECK(std::string(part(1).attribute("style").value()) == "width:80.00%");
  CHECK(std::string(part(1).attribute("class").value()) == "q0");
  CHECK(std::string(part(1).text().get()) == "8 found");
  CHECK(std::string(part(2).attribute("style").value()) == "width:20.00%");
  CHECK(std::string(part(2).attribute("class").value()) == "q4");
  CHECK(std::string(part(2).attribute("title").value()) == "2 wrong class");
  CHECK(std::string(part(2).text().get()) == "2");  // there is no room for the name
  const std::string card = misses + "//div[@class='causes']/div";
  REQUIRE(count_of(document, card.c_str()) == 3);
  CHECK(contains(all_text(document, card + "[1]"), "not proposed4"));
  CHECK(contains(all_text(document, card + "[1]"), "4 small"));
  CHECK(contains(all_text(document, card + "[1]"), advice_for(MissCause::not_proposed)));
}

TEST_CASE("report: the recall after each stage falls, and ends at the share of objects that are found") {
  Diagnosis diagnosis;
  diagnosis.objects_by_size = {8, 10, 0};
  // not proposed, low score, lost in NMS, wrong class, poorly placed
  diagnosis.misses_by_size = {{{4, 1, 0, 0, 1}, {0, 1, 2, 2, 0}, {}}};
  const std::string html = stages_table(diagnosis);
  pugi::xml_document document;
  parse("<div>" + html + "</div>", document);
  const auto row = [&](int i) { return all_text(document, fmt::format("//tbody/tr[{}]", i)); };
  CHECK(contains(row(1), "proposed50 %100 %–78 %--anchor-sizes"));
  CHECK(contains(row(2), "classified38 %70 %–56 %--score"));
  CHECK(contains(row(3), "well placed25 %70 %–50 %--epochs"));
  CHECK(contains(row(4), "kept by NMS: found25 %50 %–39 %--box-nms-thresh"));
  diagnosis.misses_by_size[0] = {0, 0, 0, 0, 0, 1};  // nothing is known of the stages
  CHECK(stages_table(diagnosis).empty());
  CHECK(stages_table(Diagnosis{}).empty());
}

TEST_CASE("report: under a worst image stands what became of each missed object, folded") {
  ReportData data;
  data.worst = {{smooth_image(40, 30), "first", {"a"}}, {smooth_image(40, 30), "second", {"b"}}};
  data.worst[1].stories = {"object 1 <cat>: lost there", "object 2: suppressed"};
  pugi::xml_document document;
  parse(render_report(data), document);
  CHECK(count_of(document, "//div[@class='gallery']/figure[1]//details") == 0);
  CHECK(text_at(document, "//div[@class='gallery']/figure[2]//details/summary") ==
        "What became of each missed object");
  CHECK(count_of(document, "//div[@class='gallery']/figure[2]//details//li") == 2);
  CHECK(text_at(document, "//div[@class='gallery']/figure[2]//details//li[1]") ==
        "object 1 <cat>: lost there");
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
