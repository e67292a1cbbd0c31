// `rcnn lab explain` from its options to its file, in the build that can count (make test-races).
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "bench/lab_explain.h"
#include "tests/data/fixtures.h"

#if defined(RCNN_CUDA_SIM)

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Json = nlohmann::json;

/// The rows of the file for one case of the tests, all of whose blocks run, by variant.
std::map<std::string, Json> explained(const std::vector<std::string>& names, int64_t number) {
  const TemporaryFolder folder;
  LabExplainOptions options;
  options.names = names;
  options.cases = {number};
  options.tested = true;
  options.blocks = 0;
  options.json = folder / "counts.json";
  lab_explain(options);
  const Json document = Json::parse(std::ifstream(options.json));
  CHECK(document["card"] == "H100");
  std::map<std::string, Json> rows;
  for (const Json& row : document["variants"]) rows[row["variant"]] = row;
  return rows;
}

}  // namespace

TEST_CASE("lab explain: counts of a small product, by hand") {
  if (!cuda_sim::can_count_accesses()) return;
  // 4 x 5 outputs, a lane each in one warp: 6 steps with two reads, then a write.
  const auto rows = explained({"matmul=direct"}, 0);
  REQUIRE(rows.size() == 1);
  const Json& direct = rows.at("direct");
  CHECK(!direct.contains("error"));
  CHECK(direct["flop"] == 2 * 4 * 5 * 6);
  CHECK(direct["bytes"] == 4 * (4 * 6 + 6 * 5 + 4 * 5));
  CHECK(direct["launches"] == 1);
  CHECK(direct["blocks"] == 1);
  CHECK(direct["counted_blocks"] == 1);
  CHECK(direct["requests"] == 13);
  CHECK(direct["lanes"] == 20.0 / 32);
  CHECK(direct["read_by_blocks"] == 4 * (4 * 6 + 6 * 5));  // each matrix once
  CHECK(direct["turns"] == 0);                             // no shared memory
}

TEST_CASE("lab explain: every rung of the convolution and of both gradients is counted") {
  if (!cuda_sim::can_count_accesses()) return;
  for (const char* op : {"conv2d", "conv2d_dx", "conv2d_dw"}) {
    CAPTURE(std::string(op));
    constexpr int64_t kCase = 12;  // 1 x 6 x 11 x 16, 68 filters of 3 x 3
    auto rows = explained({op}, kCase);
    for (const char* variant :
         {"direct", "tiled", "implicit_gemm", "implicit_gemm_tf32", "implicit_gemm_bf16"}) {
      CAPTURE(variant);
      REQUIRE(rows.contains(variant));
      const Json& row = rows[variant];
      REQUIRE(!row.contains("error"));
      CHECK(row["counted_blocks"] == row["blocks"]);
      CHECK(row["requests"] > 0);
      CHECK(row["sectors"] >= row["min_sectors"]);
      CHECK(row["turns"] >= row["min_turns"]);
      CHECK(row["lanes"] <= 1);
      CHECK(row["read_bytes"] >= row["read_by_blocks"]);
      CHECK(row["bound_ms"] > 0);
      const bool has_turns = row["turns"] > 0;
      CHECK(has_turns == (std::string_view(variant) != "direct"));
    }
    // What each rung is for: fewer requests of global memory than the one before.
    const auto requests = [&](const char* variant) { return rows[variant]["requests"].get<double>(); };
    CHECK(requests("direct") > 4 * requests("tiled"));
    CHECK(requests("tiled") > 2 * requests("implicit_gemm"));
  }
}

#endif
