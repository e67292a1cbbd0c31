#include "bench/lab_names.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/ops.h"

namespace rcnn {

std::vector<LabName> parse_lab_names(const std::vector<std::string>& words) {
  std::vector<LabName> names;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    const LabName name{word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1)};
    check_input(equals == std::string::npos || !name.variant.empty(),
                "{}: expected OP or OP=VARIANT, as in roi_align=merged_taps", word);
    std::vector<std::string_view> ops, variants;
    bool known = false;
    kernels::for_each_op([&](const auto& op) {
      ops.emplace_back(op.name);
      if (name.op != op.name) return;
      known = true;
      for (const auto& variant : op.variants) variants.emplace_back(variant.name);
    });
    check_input(known, "{}: there is no op {}; there are {}", word, name.op, fmt::join(ops, ", "));
    check_input(name.variant.empty() || std::ranges::find(variants, name.variant) != variants.end(),
                "{}: {} has no variant {}; it has {}", word, name.op, name.variant,
                fmt::join(variants, ", "));
    names.push_back(name);
  }
  return names;
}

bool names_op(const std::vector<LabName>& names, std::string_view op) {
  return names.empty() || std::ranges::any_of(names, [&](const LabName& name) { return name.op == op; });
}

bool names_variant(const std::vector<LabName>& names, std::string_view op, std::string_view variant) {
  return names.empty() || std::ranges::any_of(names, [&](const LabName& name) {
           return name.op == op && (name.variant.empty() || name.variant == variant);
         });
}

void check_case(std::string_view op, int64_t number, size_t cases) {
  check_input(number >= 0 && static_cast<size_t>(number) < cases, "--case {}: {} has the cases 0 to {}",
              number, op, static_cast<int64_t>(cases) - 1);
}

const char* name_of(DeviceType type) { return type == DeviceType::cpu ? "cpu" : "cuda"; }

const char* name_of(Precision precision) {
  return precision == Precision::f32 ? "f32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

std::string why_not(const Context& ctx, const kernels::Backend& backend) {
  if (!backend.built) return fmt::format("this build has no {}", backend.needs);
  if (backend.device != ctx.device.type) return "there is no GPU";
  if (backend.capability > ctx.capability)
    return fmt::format("it needs sm_{}, this card is sm_{}", backend.capability, ctx.capability);
  return backend.missing ? backend.missing() : "";
}

}  // namespace rcnn
