// How plans (kernels/plans.h) name the calls of convolutions and matrix products, and the cuts of those on
// tensor cores.
#include <charconv>

#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/matmul.h"
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
    const std::string_view number = cut.substr(name.size() + kIn.size());
    Plan plan{tile, 0};
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), plan.parts);
    if (error == std::errc() && end == number.data() + number.size() && plan.parts >= 1 &&
        plan.parts <= kMaxParts)
      return plan;
  }
  return {};
}

}  // namespace mma
}  // namespace rcnn::kernels
