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

namespace {

struct Nothing {};
void do_nothing(const Stream&, Workspace&, const Nothing&) {}
bool library_is_there = false;
const std::string& why_it_is_missing() {
  static const std::string none, why = "cuXYZ is not available: libcuxyz.so.1: no such file";
  return library_is_there ? none : why;
}

}  // namespace

TEST_CASE(
    "ops: a variant whose library is not on the machine is left out, and its name is refused with the "
    "reason") {
  constexpr Technique<Nothing> techniques[] = {
      {"cuxyz", Backend{DeviceType::cpu, "cuXYZ", true, Precision::f32, 0, why_it_is_missing}, do_nothing},
      {"reference", on_cpu, do_nothing},
  };
  constexpr Op op{"op", "op", column<0>(techniques)};
  Context ctx;
  library_is_there = false;
  CHECK(std::string_view(choose(ctx, op, Nothing{}).name) == "reference");
  ctx.kernels["op"] = "cuxyz";
  CHECK_THROWS_WITH_AS(choose(ctx, op, Nothing{}),
                       "--kernel op=cuxyz: cuXYZ is not available: libcuxyz.so.1: no such file", InputError);
  library_is_there = true;
  CHECK(std::string_view(choose(ctx, op, Nothing{}).name) == "cuxyz");
  ctx.kernels.clear();
  CHECK(std::string_view(choose(ctx, op, Nothing{}).name) == "cuxyz");
}

}  // namespace rcnn::kernels
