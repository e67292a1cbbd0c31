#include "bench/lab_list.h"

#include <fmt/format.h>

#include <optional>

#include "bench/checkout.h"
#include "bench/lab_names.h"
#include "core/cuda/device.h"
#include "kernels/ops.h"

namespace rcnn {
namespace {

std::string needs_of(const kernels::Backend& backend) {
  std::string needs = backend.needs;
  if (backend.capability > 0) needs += fmt::format(", sm_{}", backend.capability);
  return needs;
}

}  // namespace

void lab_list(const std::vector<std::string>& words, const std::filesystem::path& root) {
  const std::vector<LabName> names = parse_lab_names(words);
  Context cpu;
  std::optional<Context> gpu;
  if (cuda::device_count() > 0) gpu.emplace(Device{DeviceType::cuda, 0});
  std::optional<VariantSources> sources;
  if (!root.empty()) sources.emplace(root);
  kernels::for_each_op([&](const auto& op) {
    if (!names_op(names, op.name)) return;
    fmt::print("{}{}\n", op.name,
               std::string_view(op.name) == op.family ? "" : fmt::format(" (--kernel {}=...)", op.family));
    bool decided[2] = {false, false};  // on the CPU, on a GPU
    for (const auto& variant : op.variants) {
      const bool on_cuda = variant.backend.device == DeviceType::cuda;
      const Context& ctx = on_cuda && gpu ? *gpu : cpu;
      std::string use = why_not(ctx, variant.backend);
      if (use.empty() && variant.backend.precision == Precision::f32 && !decided[on_cuda]) {
        const bool always = !variant.supports && !variant.faster;
        use = always ? "default" : "where it fits";
        decided[on_cuda] = always;
      }
      if (!names_variant(names, op.name, variant.name)) continue;
      std::string where;
      if (sources)
        if (const SourcePlace place = sources->find(op.name, variant.name, on_cuda); place.line > 0)
          where = fmt::format("{}:{}", place.file.string(), place.line);
      fmt::print("  {:<26} {:<4} {:<4} {:<12} {:<26} {}\n", variant.name, name_of(variant.backend.device),
                 name_of(variant.backend.precision), needs_of(variant.backend), use, where);
    }
  });
}

}  // namespace rcnn
