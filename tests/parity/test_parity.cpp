// Checks that this program computes the same numbers as torchvision. The ordinary tests compare with the
// small files in tests/parity/expected, and `make parity` with every tensor of a fresh run of torchvision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "models/weights.h"
#include "tests/parity/compare.h"
#include "tests/parity/table.h"
#include "train/checkpoint.h"

using namespace rcnn;
using namespace rcnn::parity;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> class_names(const Expected& expected) {
  std::vector<std::string> names;
  for (int i = 1; i < std::stoi(expected.word("classes")); ++i) names.push_back(fmt::format("class {}", i));
  return names;
}

void check_findings(const std::string& name, const std::vector<Finding>& findings) {
  for (const Finding& finding : findings)
    CHECK_MESSAGE(finding.good(), name, ": ", finding.tensor, " is off by ", finding.deviation, " ",
                  finding.unit, ", expected at most ", finding.limit);
}

}  // namespace

TEST_CASE("parity: every stage agrees with the committed numbers of torchvision") {
#ifndef RCNN_ONEDNN
  MESSAGE("skipped: without oneDNN it would take minutes");
#else
  const std::vector<fs::path> files = files_in("tests/parity/expected");
  REQUIRE(!files.empty());
  for (const fs::path& file : files) {
    CAPTURE(file.string());
    const Expected expected(file);
    check_findings(expected.name(), compare(expected, false));
  }
#endif
}

// `make parity` sets RCNN_PARITY to the folder with torchvision's tensors, and RCNN_PARITY_TABLE to the file
// in which the table is written.
TEST_CASE("parity: every stage agrees with a fresh run of torchvision") {
  const char* folder = std::getenv("RCNN_PARITY");
  if (!folder) {
    MESSAGE("skipped: `make parity` runs it");
    return;
  }
  std::vector<Column> columns;
  for (const fs::path& file : files_in(folder)) {
    const Expected expected(file);
    columns.push_back(
        {expected.name(), expected.word("clearance"), compare(expected, false), compare(expected, true)});
    check_findings(expected.name(), columns.back().own);
    check_findings(expected.name() + ", fed", columns.back().fed);
  }
  if (const char* table = std::getenv("RCNN_PARITY_TABLE")) write_table(table, columns);
}

// torchvision_side.py has saved the weights of this model in both formats; exchange.py uses the file that is
// saved here.
TEST_CASE("parity: weights that torchvision saved are loaded without a difference") {
  const char* folder = std::getenv("RCNN_PARITY");
  if (!folder) {
    MESSAGE("skipped: `make parity` runs it");
    return;
  }
  const fs::path exchange = fs::path(folder) / "exchange";
  const Expected expected(fs::path(folder) / "resnet50-fpn-wide.safetensors");
  Detector wanted{make_model(expected), class_names(expected)};
  const auto weights = save_weights(*wanted.model);
  for (const char* name : {"theirs.pth", "theirs.safetensors"}) {
    CAPTURE(name);
    Detector detector{std::make_unique<FasterRcnn>(wanted.model->config, wanted.model->classes - 1, Init(2)),
                      wanted.classes};
    load_weights_file(exchange / name, detector);
    const auto loaded = save_weights(*detector.model);
    REQUIRE(loaded.size() == weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      CAPTURE(weights[i].first);
      CHECK(std::ranges::equal(loaded[i].second.values<float>(), weights[i].second.values<float>()));
    }
    save_model(exchange / "ours.safetensors", detector);
  }
}
