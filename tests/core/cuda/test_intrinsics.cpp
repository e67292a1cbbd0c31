// The instructions that kernels are written with, on a card and in the simulation, against golden files of
// raw words (tests/core/cuda/intrinsics.cu runs them).
//
// tests/core/cuda/intrinsics.txt holds what is defined exactly, and every device must give it. How tensor
// cores round is a card's choice, so what the simulation gives there is only a comment in that file (lines
// that begin with "#sim"). The last bits of library functions are always a comment ("#shown"). With
//
//     RCNN_INTRINSICS=FILE build/.../rcnn_tests -tc='intrinsics*'
//
// a device writes what it gives to FILE as well. The file of an sm_90 card has no "#sim": committed in place
// of intrinsics.txt, it holds the simulation, which calls itself sm_90, to what the card does.
#include "tests/core/cuda/intrinsics.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "core/cuda/device.h"
#include "core/files/atomic_file.h"

#if defined(RCNN_CUDA)

namespace rcnn {
namespace {

const std::string kFile = "tests/core/cuda/intrinsics.txt";
using Golden = std::map<std::string, std::vector<uint32_t>>;

/// Lines of a name and up to 12 words; lines of one name follow each other.
std::string text_of(const std::vector<Intrinsic>& all, bool simulated) {
  std::string text =
      "# Results of instructions as raw words; tests/core/cuda/test_intrinsics.cpp says how this file is "
      "made.\n";
  for (const Intrinsic& intrinsic : all) {
    const char* prefix = "";
    if (intrinsic.rule == Rule::of_card && simulated) prefix = "#sim ";
    if (intrinsic.rule == Rule::shown) prefix = "#shown ";
    const std::string name = prefix + intrinsic.name;
    for (size_t i = 0; i < intrinsic.words.size(); ++i) {
      if (i % 12 == 0) text += (i == 0 ? "" : "\n") + name;
      text += fmt::format(" {:08x}", intrinsic.words[i]);
    }
    text += "\n";
  }
  return text;
}

Golden read_golden(std::istream& file) {
  Golden golden;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name, word;
    words >> name;
    while (words >> word) golden[name].push_back(static_cast<uint32_t>(std::stoul(word, nullptr, 16)));
  }
  return golden;
}

/// "" or where the first difference is.
std::string difference(const std::vector<uint32_t>& found, const std::vector<uint32_t>& expected) {
  if (found.size() != expected.size())
    return fmt::format("{} words, expected {}", found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i] != expected[i])
      return fmt::format("word {} is {:08x} ({}), expected {:08x} ({})", i, found[i],
                         std::bit_cast<float>(found[i]), expected[i], std::bit_cast<float>(expected[i]));
  return "";
}

TEST_CASE("intrinsics: every device gives the words that are written down") {
  if (cuda::device_count() == 0 || cuda::device_info(0).capability < 80) return;
  const std::vector<Intrinsic> all = run_intrinsics({DeviceType::cuda, 0});
  if (const char* path = std::getenv("RCNN_INTRINSICS"))
    write_atomically(path, text_of(all, cuda::is_simulated()));
  std::ifstream file(kFile);
  REQUIRE_MESSAGE(file.good(), "cannot read ", kFile);
  const Golden golden = read_golden(file);
  size_t compared = 0;
  for (const Intrinsic& intrinsic : all) {
    if (intrinsic.rule == Rule::of_card && cuda::device_info(0).capability != 90) continue;
    const auto found = golden.find(intrinsic.name);
    CHECK_MESSAGE((intrinsic.rule != Rule::exact || found != golden.end()), kFile, " has nothing on ",
                  intrinsic.name);
    if (found == golden.end()) continue;
    ++compared;
    const std::string fault = difference(intrinsic.words, found->second);
    CHECK_MESSAGE(fault.empty(), intrinsic.name, ": ", fault);
  }
  CHECK(compared >= 12);
}

TEST_CASE("intrinsics: a golden file is read as it was written, and a difference is named") {
  const std::vector<Intrinsic> all = {{"a", Rule::exact, {1, 0x3F800000u}},
                                      {"b", Rule::of_card, std::vector<uint32_t>(30, 7)},
                                      {"c", Rule::shown, {9}}};
  std::istringstream everything(text_of(all, false)), simulated(text_of(all, true));
  CHECK(read_golden(everything) == Golden{{"a", {1, 0x3F800000u}}, {"b", std::vector<uint32_t>(30, 7)}});
  CHECK(read_golden(simulated).size() == 1);
  CHECK(difference({1, 2}, {1, 2}).empty());
  CHECK(difference({1, 0x3F800000u}, {1, 0x40000000u}) == "word 1 is 3f800000 (1), expected 40000000 (2)");
  CHECK(difference({1}, {1, 2}) == "1 words, expected 2");
}

}  // namespace
}  // namespace rcnn

#endif
