// What `rcnn lab explain` makes of counts. The counts themselves are tested in
// tests/core/cuda/test_counts.cu.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/lab_explain.h"
#include "kernels/op_cases.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
using cuda_sim::AccessCount;
using cuda_sim::AccessKind;
using cuda_sim::LaunchCount;

namespace {

bool any_contains(const std::vector<std::string>& texts, const std::string& part) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return contains(text, part); });
}

/// 10 requests of 32 lanes for 4 bytes of global memory at file.cu:3, in `sectors` sectors each.
AccessCount global_reads(uint64_t sectors, int64_t stride) {
  AccessCount a;
  a.place = "kernels/file.cu:3";
  a.bytes = 4;
  a.requests = 10, a.lanes = a.places = 320;
  a.sectors = 10 * sectors, a.min_sectors = 40, a.moved = 1280;
  a.stride = stride;
  return a;
}

AccessCount shared_reads(uint64_t turns) {
  AccessCount a;
  a.place = "kernels/file.cu:7", a.caller = "kernels/other.cu:9";
  a.shared = true;
  a.bytes = 16;
  a.requests = 10, a.lanes = a.places = 320;
  a.turns = 10 * turns, a.min_turns = 40;
  return a;
}

LaunchCount launch_of(unsigned blocks, std::vector<AccessCount> accesses) {
  LaunchCount launch;
  launch.kernel = "made_up_kernel";
  launch.grid[0] = blocks, launch.grid[1] = launch.grid[2] = 1;
  launch.block[0] = 128, launch.block[1] = launch.block[2] = 1;
  launch.counted = 2;
  launch.accesses = std::move(accesses);
  return launch;
}

}  // namespace

TEST_CASE("lab explain: advice names the line, what it costs, and what it could cost") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "kernels");
  write_text(folder.path() / "kernels/file.cu", "one\ntwo\n  sum += x[32 * i];\n");
  const Card& card = card_of("H100");
  LaunchCount launch = launch_of(132, {global_reads(32, 128), shared_reads(16)});
  const std::vector<std::string> found = advice_on(card, launch, folder.path());
  REQUIRE(found.size() == 2);
  // 160 clocks for turns of the banks, 80 for 320 sectors.
  CHECK(contains(found[0],
                 "kernels/file.cu:7, from kernels/other.cu:9: each warp's 32 reads of 16 bytes take 16 turns "
                 "of the banks of shared memory; 4 would do"));
  CHECK(contains(found[0], "67 % of the clocks"));
  CHECK(contains(found[1],
                 "kernels/file.cu:3: each warp's 32 reads of 4 bytes touch 32 sectors of 32 bytes, because "
                 "they are 128 bytes apart; the same bytes side by side would touch 4"));
  CHECK(contains(found[1], "\n      sum += x[32 * i];"));

  // Nothing to say about neighbours in vectors, and turns that cannot be fewer.
  AccessCount vectors = global_reads(16, 16);
  vectors.bytes = 16, vectors.min_sectors = 160;
  CHECK(advice_on(card, launch_of(132, {vectors, shared_reads(4)}), {}).empty());
  CHECK(any_contains(advice_on(card, launch_of(132, {global_reads(4, 4)}), {}), "vectors of 16 bytes"));

  AccessCount few = global_reads(4, 0);
  few.lanes = 80;
  CHECK(any_contains(advice_on(card, launch_of(132, {few}), {}), "only 8 of 32 lanes take part"));

  AccessCount atomic = global_reads(1, 0);
  atomic.kind = AccessKind::atomic, atomic.turns = 320, atomic.min_turns = 10, atomic.min_sectors = 10;
  CHECK(any_contains(advice_on(card, launch_of(132, {atomic}), {}),
                     "up to 32 of a warp's 32 atomic changes of 4 bytes"));
}

TEST_CASE("lab explain: bytes that are read again, and grids that do not fill the card") {
  const Card& card = card_of("H100");
  LaunchCount launch = launch_of(132, {});
  launch.read = 9000, launch.read_block = 1000, launch.read_all = 500;
  CHECK(any_contains(advice_on(card, launch, {}),
                     "each block reads each of its bytes of global memory 9 times"));
  CHECK(!any_contains(advice_on(card, launch, {}), "blocks: larger tiles"));  // 130 blocks were not counted
  launch = launch_of(2, {});
  launch.read = 1000, launch.read_block = 1000, launch.read_all = 500;
  const auto small = advice_on(card, launch, {});
  CHECK(any_contains(small, "each byte is read by 2 blocks: larger tiles"));
  CHECK(any_contains(small, "the grid has 2 blocks: 130 of the 132 multiprocessors of H100 have none"));
  CHECK(any_contains(advice_on(card, launch_of(133, {}), {}), "the busiest have 98 % more than the mean"));
  CHECK(advice_on(card, launch_of(264, {}), {}).empty());
}

TEST_CASE("lab explain: bounds by products, memory, accesses and the last wave") {
  const Card& card = card_of("H100");
  ExplainedVariant one{
      .op = "made_up", .variant = "v", .flop = 66.9e12, .bytes = 1, .launches = {launch_of(132, {})}};
  CHECK(bound_on(card, one).seconds == doctest::Approx(1));
  CHECK(bound_on(card, one).limit == "products");
  one.precision = Precision::bf16;
  CHECK(bound_on(card, one).seconds == doctest::Approx(66.9 / 989.4));
  one.precision = Precision::f32;
  one.launches = {launch_of(133, {})};  // one multiprocessor has two blocks
  CHECK(bound_on(card, one).seconds == doctest::Approx(2 * 132.0 / 133));
  one.bytes = 3 * 3352e9;
  CHECK(bound_on(card, one).seconds == doctest::Approx(3));
  CHECK(bound_on(card, one).limit == "memory");
  // 34 RoIs of 16 bytes, 2 counts, and 34 x 3 x 2 x 5 outputs: its maps are not read as a whole.
  const auto roi = kernels::prepare_roi_align<float>(kernels::roi_align_cases().front(),
                                                     kernels::Filler(1, kernels::Fill::uniform));
  CHECK(bytes_of(roi) == 34 * 16 + 2 * 4 + 34 * 3 * 2 * 5 * 4);
  // 2 of 132 blocks take 160 turns and 320 sectors, which are 80 clocks: 120 clocks for each block.
  one.flop = one.bytes = 1;
  one.launches = {launch_of(132, {global_reads(32, 128), shared_reads(16)})};
  CHECK(bound_on(card, one).seconds == doctest::Approx(120 / 1.98e9));
  CHECK(bound_on(card, one).limit == "accesses");
}

TEST_CASE("lab explain: tables and JSON have the figures of all blocks") {
  ExplainedVariant one{
      .op = "made_up", .variant = "v", .inputs = {{2, 3}}, .outputs = {{6}}, .flop = 1e9, .bytes = 1e6};
  one.launches = {launch_of(20, {global_reads(8, 8), shared_reads(6)})};
  ExplainedVariant failed{.op = "made_up", .variant = "w", .error = "it cannot"};
  const std::string table = explained_table({one, failed}, card_of("H100"));
  // 10 requests on 2 of 20 blocks; 8 sectors where 4 would do, 6 turns where 4 would do.
  CHECK(contains(table, "| made_up | 0 | v | 100 | 2.00 | 1.50 | 100 % | - |"));
  CHECK(contains(table, "| made_up | 0 | w | failed |"));
  const auto json = nlohmann::json::parse(explained_json({one, failed}, card_of("H100"), "rcnn 1"));
  CHECK(json["info"] == "written by rcnn.cu");
  CHECK(json["card"] == "H100");
  const auto& row = json["variants"][0];
  CHECK(row["requests"] == 100);
  CHECK(row["sectors"] == 800);
  CHECK(row["min_sectors"] == 400);
  CHECK(row["blocks"] == 20);
  CHECK(row["counted_blocks"] == 2);
  CHECK(json["variants"][1]["error"] == "it cannot");
  const std::string text = explained_text(one, card_of("H100"), {});
  CHECK(contains(text, "made_up_kernel, grid (20, 1, 1), block (128, 1, 1)"));
  CHECK(contains(text, "kernels/file.cu:7, from kernels/other.cu:9"));
  for (const Card& card : kCards) CHECK(contains(text, card.name));
}

TEST_CASE("lab explain: cards are those of the table") {
  CHECK(card_of("4090").multiprocessors == 128);
  CHECK_THROWS_WITH_AS(card_of("T4"), doctest::Contains("there are figures of H100, H200, A100, L4, 4090"),
                       InputError);
  for (const Card& card : kCards) {
    CAPTURE(card.name);
    // The peak of f32 is that of its units at its clock: 64 for each multiprocessor on sm_80, otherwise 128.
    const double units = card.capability == 80 ? 64 : 128;
    CHECK(card.f32 * 1e3 == doctest::Approx(2 * units * card.multiprocessors * card.clock).epsilon(0.01));
    CHECK(std::string_view(card.source).size() > 10);
  }
}
