// How plans (kernels/plans.h) name the calls of convolutions and matrix products, and the cuts of those on
// tensor cores.
#include "kernels/gemm/plan_names.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "kernels/gemm/mma_plan.h"

namespace rcnn::kernels {

std::string plan_shape(const Conv2dShape& s) {
  return fmt::format("{}x{}x{}x{}, {} filters of {}x{}, stride {}, pad {}, dilation {}", s.n, s.h, s.w, s.c,
                     s.k, s.r, s.s, s.stride, s.pad, s.dilation);
}

std::string plan_shape(const MatmulArgs<float>& a) {
  return fmt::format("{}x{}{} times {}x{}{}", a.m, a.k, a.transpose_a ? " (transposed)" : "", a.k, a.n,
                     a.transpose_b ? " (transposed)" : "");
}

namespace {

/// Sizes that a text may state: so many that no product of two of them overflows.
constexpr int64_t kMaxSize = int64_t{1} << 31;

/// The whole numbers of the text from -1 on, in their order. Other text is left out: whoever reads compares
/// with the text that the numbers are written as.
std::vector<int64_t> numbers_of(std::string_view text) {
  std::vector<int64_t> numbers;
  const char *at = text.data(), *const end = at + text.size();
  while (at != end) {
    int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (next == at) {
      ++at;
      continue;
    }
    if (error != std::errc() || number < -1 || number >= kMaxSize) return {};
    numbers.push_back(number);
    at = next;
  }
  return numbers;
}

/// Whether an array of these sizes can exist; so no product of them overflows.
bool can_exist(std::initializer_list<int64_t> sizes) {
  double elements = 1;
  for (const int64_t size : sizes) {
    if (size < 0) return false;
    elements *= static_cast<double>(std::max<int64_t>(size, 1));
  }
  return elements < 0x1p53;
}

}  // namespace

bool read_plan_shape(std::string_view text, Conv2dShape& shape) {
  const std::vector<int64_t> found = numbers_of(text);
  if (found.size() != 10) return false;
  const Conv2dShape s{found[0], found[1], found[2], found[3], found[4],
                      found[5], found[6], found[7], found[8], found[9]};
  if (std::min({s.c, s.k, s.r, s.s, s.stride, s.dilation}) < 1 || !can_exist({s.n, s.h, s.w, s.c}) ||
      !can_exist({s.k, s.r, s.s, s.c}))
    return false;
  if (s.oh() < 1 || s.ow() < 1 || !can_exist({s.n, s.oh(), s.ow(), std::max(s.c, s.k)}) ||
      !can_exist({s.oh(), s.ow(), s.c, s.k}) || plan_shape(s) != text)
    return false;
  shape = s;
  return true;
}

bool read_plan_shape(std::string_view text, MatmulArgs<float>& a) {
  constexpr std::string_view kTransposed = " (transposed)";
  const std::vector<int64_t> found = numbers_of(text);
  if (found.size() != 4) return false;
  MatmulArgs<float> read;
  read.m = found[0], read.k = found[1], read.n = found[3];
  read.transpose_a = text.find(fmt::format("{} times", kTransposed)) != std::string_view::npos;
  read.transpose_b = text.ends_with(kTransposed);
  if (!can_exist({read.m, read.k}) || !can_exist({read.k, read.n}) || !can_exist({read.m, read.n}) ||
      plan_shape(read) != text)
    return false;
  a.m = read.m, a.n = read.n, a.k = read.k;
  a.transpose_a = read.transpose_a, a.transpose_b = read.transpose_b;
  return true;
}

namespace {

/// A number of parts from 1 to `most`, and nothing else.
std::optional<int> parts_from(std::string_view text, int most) {
  int parts = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parts);
  if (error != std::errc() || end != text.data() + text.size() || parts < 1 || parts > most) return {};
  return parts;
}

constexpr std::string_view kParts = "in ";

}  // namespace

std::string cut_of_parts(int parts) { return fmt::format("{}{}", kParts, parts); }

std::optional<int> parts_of_cut(std::string_view cut) {
  if (!cut.starts_with(kParts)) return {};
  return parts_from(cut.substr(kParts.size()), kMaxCutParts);
}

namespace mma {
namespace {

constexpr std::string_view kIn = " in ";
constexpr struct {
  TileSize tile;
  std::string_view name;
} kTileNames[] = {{TileSize::m128n256, "128x256"},
                  {TileSize::m128n128, "128x128"},
                  {TileSize::m128n64, "128x64"},
                  {TileSize::m64n64, "64x64"}};

}  // namespace

std::string cut_of(const Plan& plan) {
  for (const auto& [tile, name] : kTileNames)
    if (tile == plan.tile) return fmt::format("{}{}{}", name, kIn, plan.parts);
  throw Error("a tile has no name");
}

std::optional<Plan> plan_of_cut(std::string_view cut) {
  for (const auto& [tile, name] : kTileNames) {
    if (!cut.starts_with(name) || !cut.substr(name.size()).starts_with(kIn)) continue;
    const std::optional<int> parts = parts_from(cut.substr(name.size() + kIn.size()), kMaxParts);
    if (parts) return Plan{tile, *parts};
  }
  return {};
}

}  // namespace mma
}  // namespace rcnn::kernels
