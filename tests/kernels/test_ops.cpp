// The list of all ops.
#include "kernels/ops.h"

#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("ops: names are unique, and the last variant is the reference on the cpu") {
  std::set<std::string_view> names;
  for_each_op([&](const auto& op) {
    CAPTURE(op.name);
    CHECK(names.insert(op.name).second);
    std::set<std::pair<DeviceType, std::string_view>> variants;
    for (const auto& variant : op.variants) {
      CAPTURE(variant.name);
      CHECK(variants.insert({variant.backend.device, variant.name}).second);
      const bool has_function = variant.run != nullptr;
      CHECK(has_function == variant.backend.built);
    }
    const auto& last = op.variants.back();
    CHECK(std::string_view(last.name) == "reference");
    CHECK(last.backend.device == DeviceType::cpu);
    const bool in_double = last.run64 != nullptr;
    CHECK(in_double == !std::is_same_v<decltype(last.run64), Run<NoArgs>*>);
  });
}

TEST_CASE("ops: each is verified") {
  // VERIFY_OP fails if an op has a variant that none of its cases runs.
  std::set<std::string_view> names;
  for_each_op([&](const auto& op) {
    names.insert(op.name);
    CHECK_MESSAGE(verified_ops().contains(op.name), "no test says VERIFY_OP(", op.name, ")");
  });
  for (const std::string_view name : verified_ops())
    CHECK_MESSAGE(names.contains(name), name, " is verified, but not in kernels/ops.h");
}

}  // namespace rcnn::kernels
