// The rules by which variants are compared (kernels/verify.h) find what is wrong, and the search for a
// smaller case ends at the smallest one.
#include "tests/kernels/verify.h"

#include "kernels/smaller_cases.h"

namespace rcnn::kernels {
namespace {

Tensor numbers(std::initializer_list<double> values) {
  return Tensor::of<double>({static_cast<int64_t>(values.size())}, values);
}

TEST_CASE("verify: the first and the worst wrong element are found, and a NaN agrees only with a NaN") {
  const Mismatch found = mismatch(numbers({1, 2.5, 3, 9}), numbers({1, 2, 3, 4}), {1, 0.1, 1, 0.1});
  CHECK(found.wrong == 2);
  CHECK(found.first == 1);
  CHECK(found.worst == 3);
  CHECK(mismatch(numbers({1, 2}), numbers({1, 2.05}), {0, 0.1}).wrong == 0);
  CHECK(mismatch(numbers({1, 2}), numbers({1, 2.05}), {}).wrong == 1);
  // Worst is what exceeds its own bound the most, not the largest error.
  CHECK(mismatch(numbers({5, 1.5}), numbers({0, 1}), {1, 0.01}).worst == 1);
  CHECK(mismatch(numbers({NAN, 1}), numbers({NAN, 1}), {}).wrong == 0);
  const Mismatch nan = mismatch(numbers({9, NAN}), numbers({1, 1}), {1, 1});
  CHECK(nan.wrong == 2);
  CHECK(nan.worst == 1);
  CHECK(mismatch(numbers({1}), numbers({NAN}), {100}).wrong == 1);
  CHECK(difference(numbers({1, 4}), numbers({1, 2}), {0, 0.5}) ==
        "element 1 of shape (2) is 4, expected 2 +- 0.5");
}

/// Adds one to the last element, if there are at least five columns.
void upsample_add_wrong(const Stream& stream, Workspace& workspace, const UpsampleAddArgs<float>& a) {
  upsample_add_reference<float>(stream, workspace, a);
  if (a.w >= 5 && a.n * a.h * a.c > 0) a.y[a.n * a.h * a.w * a.c - 1] += 1;
}

TEST_CASE(
    "verify: a wrong variant is found, with its element and its bound, and the search shrinks its case") {
  Context ctx;
  const Variant<UpsampleAddArgs<float>, UpsampleAddArgs<double>> variant{"wrong", on_cpu, upsample_add_wrong};
  const auto prepare = cases_of(upsample_add).prepare;
  const auto faults = [&](const UpsampleAddCase& c) {
    std::vector<WrongResult> found;
    Trial trial(upsample_add, c, prepare, 1, Fill::small_integers, Accumulate::no);
    check_variant(ctx, variant, trial, [&](const WrongResult& wrong) { found.push_back(wrong); });
    return found;
  };
  const auto found = faults({1, 4, 6, 3, 2, 3});
  REQUIRE(found.size() == 1);
  CHECK(found.front().output == 0);
  CHECK(mismatch(found.front().found, found.front().expected, found.front().bound).worst == 71);
  CHECK(found.front().text().starts_with("fill 1, accumulate 0, order "));
  CHECK(faults({1, 4, 4, 3, 2, 2}).empty());

  const UpsampleAddCase smallest = smallest_failing(
      UpsampleAddCase{2, 7, 14, 12, 4, 7}, [&](const UpsampleAddCase& c) { return !faults(c).empty(); },
      [] { return true; });
  CHECK(smallest.w == 5);
  CHECK(smallest.n == 1);
  CHECK(smallest.h == 1);
  CHECK(smallest.c == 1);
  CHECK(smallest.th == 1);
  CHECK(smallest.tw == 1);
}

TEST_CASE("verify: a variant that throws is a wrong result") {
  Context ctx;
  const Variant<SoftmaxArgs<float>, SoftmaxArgs<double>> variant{
      "throws", on_cpu, [](const Stream&, Workspace&, const SoftmaxArgs<float>&) { throw Error("no"); }};
  const SoftmaxCase c{3, 2};
  Trial trial(softmax, c, cases_of(softmax).prepare, 1, Fill::normal, Accumulate::no);
  int faults = 0;
  check_variant(ctx, variant, trial, [&](const WrongResult& wrong) {
    ++faults;
    CHECK(wrong.fault == "no");
    CHECK(!wrong.found.defined());
  });
  CHECK(faults == 1);
}

TEST_CASE("verify: smaller cases have one size or flag less, and the reference runs them") {
  Context ctx;
  size_t ops = 0;
  for_each_op([&](const auto& op) {
    const auto op_cases = cases_of(op);
    size_t candidates = 0;
    for (const auto& c : op_cases.tested())
      for (const auto& candidate : smaller(c)) {
        ++candidates;
        const auto p = op_cases.prepare(float{}, candidate, Filler(1, Fill::normal));
        const auto before = op_cases.prepare(float{}, c, Filler(1, Fill::normal));
        const auto elements = [](const auto& of) {
          int64_t sum = 0;
          for (const Tensor& tensor : of.inputs) sum += tensor.numel();
          return sum;
        };
        // Fewer elements, except where a smaller filter or stride leaves more of the output.
        if (std::string_view(op.family) != "conv2d" && std::string_view(op.family) != "max_pool")
          CHECK(elements(p) <= elements(before));
        op.variants.back().run(ctx.stream, ctx.workspace, p.args);
      }
    ops += candidates > 0;
  });
  CHECK(ops >= 18);
  // The search ends at a case of which no smaller one fails.
  const MatmulCase found = smallest_failing(
      MatmulCase{130, 12, 40, true, false, true, true},
      [](const MatmulCase& c) { return c.m >= 7 && c.k > 3; }, [] { return true; });
  CHECK(found.m == 7);
  CHECK(found.n == 1);
  CHECK(found.k == 4);
  CHECK(!found.transpose_a);
  CHECK(!found.bias);
  CHECK(!found.relu);
}

}  // namespace
}  // namespace rcnn::kernels
