#include <doctest/doctest.h>

#include <cmath>

#include "core/rng.h"

namespace rcnn {

TEST_CASE("philox4x32 gives the published known answers") {
  // The test vectors that come with the paper's library (Random123, kat_vectors, philox4x32 10).
  const auto check = [](const Philox4& found, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    CHECK(found.v[0] == a);
    CHECK(found.v[1] == b);
    CHECK(found.v[2] == c);
    CHECK(found.v[3] == d);
  };
  constexpr uint32_t ones = 0xffffffff;
  check(philox4x32(0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  check(philox4x32(~uint64_t{0}, ones, ones, ones, ones), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  check(philox4x32(0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344), 0xd16cfe09,
        0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST_CASE("draws differ by seed, purpose and index, and repeat") {
  const uint32_t base = philox(1, Purpose::init, 2, 3, 4);
  CHECK(base == philox(1, Purpose::init, 2, 3, 4));
  CHECK(base != philox(2, Purpose::init, 2, 3, 4));
  CHECK(base != philox(1, Purpose::shuffle, 2, 3, 4));
  CHECK(base != philox(1, Purpose::init, 3, 3, 4));
  CHECK(base != philox(1, Purpose::init, 2, 4, 4));
  CHECK(base != philox(1, Purpose::init, 2, 3, 5));
}

TEST_CASE("the numbers of a sequence have the distributions that the functions are named for") {
  RandomSequence random(7, Purpose::test);
  constexpr int kDraws = 20000;
  double mean = 0, square = 0, uniform = 0;
  int below[5] = {};
  for (int i = 0; i < kDraws; ++i) {
    const float u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    uniform += static_cast<double>(u);
    const auto z = static_cast<double>(random.normal());
    mean += z;
    square += z * z;
    ++below[random.below(5)];
  }
  // Within five standard deviations of each estimate.
  CHECK(std::fabs(uniform / kDraws - 0.5) <= 5 * 0.29 / std::sqrt(kDraws));
  CHECK(std::fabs(mean / kDraws) <= 5 / std::sqrt(kDraws));
  CHECK(std::fabs(square / kDraws - 1) <= 5 * 1.42 / std::sqrt(kDraws));
  for (const int count : below) CHECK(std::abs(count - kDraws / 5) <= 5 * std::sqrt(kDraws * 0.16));
}

}  // namespace rcnn
