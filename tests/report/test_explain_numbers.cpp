// `explain`: cells are drawn where their values belong, and what each object passed through is told.
#include <cmath>

#include "report/explain_drawing.h"
#include "tests/report/explained.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {
using Json = nlohmann::json;
}  // namespace

TEST_CASE("explain: a cell is drawn centred on the point that its value belongs to") {
  CHECK(cells_place(2, 3, 4, 5, 8) == Box{20, 12, 36, 28});
  CHECK(map_place(2, 3, 16) == Box{-8, -8, 40, 24});
  CHECK(cell_at(19.9f, 8, 10) == 2);
  CHECK(cell_at(20.1f, 8, 10) == 3);
  CHECK(cell_at(-9, 8, 10) == 0);
  CHECK(cell_at(900, 8, 10) == 9);
  const Explained explained(false);
  const Json& pooling = explained.of("pooling");
  float stride = 0;
  for (const Json& level : explained.of("anchors")["levels"])
    if (level["name"] == pooling["level"]) stride = level["stride"].get<float>();
  REQUIRE(stride > 0);
  // A sampling point is drawn within the cell that has the larger weight, and its value is that of the cells.
  float sum = 0;
  for (const Json& point : pooling["worked"]["points"]) {
    const auto y = point["y"].get<float>(), x = point["x"].get<float>();
    const auto rows = point["rows"].get<std::vector<int64_t>>(),
               columns = point["columns"].get<std::vector<int64_t>>();
    const auto cells = point["cells"].get<std::vector<float>>();
    const float down = rows[0] == rows[1] ? 0 : std::max(y, 0.0f) - static_cast<float>(rows[0]),
                right = columns[0] == columns[1] ? 0 : std::max(x, 0.0f) - static_cast<float>(columns[0]);
    const int64_t row = rows[down > 0.5f], column = columns[right > 0.5f];
    const Box cell = cells_place(row, column, row + 1, column + 1, stride);
    CHECK(x * stride >= cell.x1);
    CHECK(x * stride <= cell.x2);
    CHECK(y * stride >= cell.y1);
    CHECK(y * stride <= cell.y2);
    const float value = (1 - down) * ((1 - right) * cells[0] + right * cells[1]) +
                        down * ((1 - right) * cells[2] + right * cells[3]);
    CHECK(std::fabs(value - point["value"].get<float>()) <= 1e-5f * std::max(1.0f, std::fabs(value)));
    sum += value;
  }
  CHECK(close(sum / static_cast<float>(pooling["worked"]["points"].size()), pooling["worked"]["in_tensor"],
              1e-4));
  const auto bin = pooling["worked"]["bin"].get<std::vector<size_t>>();
  CHECK(pooling["channel_values"][bin[0]][bin[1]] == pooling["worked"]["in_tensor"]);
  // The anchors of a cell are centred on its point, and so is its place in the page.
  pugi::xml_document document;
  parse(explained.result.page, document);
  for (const auto& image : document.select_nodes("//section[@id='objectness']//*[@class='cells']")) {
    CHECK(image.node().attribute("x").as_float() < 0);
    CHECK(image.node().attribute("x").as_float() == image.node().attribute("y").as_float());
  }
}

TEST_CASE("explain: each object has the levels and scores that it passed through, and an ignored anchor") {
  const Explained explained(true);
  const ModelConfig& config = explained.detector.model->config;
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const Json& object = explained.numbers["objects"][i];
    CHECK(object["proposals"] == explained.of("nms")["objects"][i]["proposals"]);
    CHECK(object["best_anchor"]["overlap"].get<double>() > 0);
    if (object["fate"] != "found") continue;
    CHECK(object["class"] == (i == 1 ? "dog" : "cat"));
    CHECK(object["found_from"]["objectness"].get<double>() > 0);
    CHECK_FALSE(object["pooled_from"].get<std::string>().empty());
  }
  int64_t with_example = 0;
  for (const Json& object : explained.of("matching")["objects"]) {
    if (!object.contains("ignored_best")) continue;
    ++with_example;
    CHECK(object["ignored"].get<int64_t>() > 0);
    CHECK(object["ignored_best"]["overlap"].get<float>() >= config.rpn_bg_iou_thresh);
    CHECK(object["ignored_best"]["overlap"].get<float>() < config.rpn_fg_iou_thresh);
  }
  CHECK(with_example > 0);
  CHECK(explained.result.page.find("Ignored: of the ") != std::string::npos);
  double total = 0;
  for (const auto& [key, loss] : explained.of("losses")["loss"].items()) total += loss.get<double>();
  CHECK(close(explained.of("losses")["total"], total, 1e-6));
}
