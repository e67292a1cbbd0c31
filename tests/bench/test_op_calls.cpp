// Calls of ops as cases: the way from arguments to a case and back keeps every shape and option.
#include <doctest/doctest.h>

#include "bench/case_json.h"
#include "bench/op_calls.h"
#include "bench/roofs.h"
#include "tests/data/fixtures.h"

namespace rcnn {
namespace {

using fixtures::contains;

std::vector<std::string> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<std::string> shapes;
  for (const Tensor& tensor : tensors)
    if (tensor.dtype() != DType::u8) shapes.push_back(tensor.shape().str());
  return shapes;
}

/// Which words of the arguments are addresses in a tensor of the case.
template <class Args>
std::vector<bool> addresses_in(const Args& args, const kernels::Prepared<Args>& p) {
  std::vector<bool> addresses;
  for (size_t at = 0; at + sizeof(void*) <= sizeof(Args); at += alignof(void*)) {
    uintptr_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&args) + at, sizeof word);
    bool points = false;
    for (const auto* list : {&p.inputs, &p.outputs})
      for (const Tensor& tensor : *list) {
        const auto begin = reinterpret_cast<uintptr_t>(tensor.raw());
        points |= word >= begin && word < begin + std::max<size_t>(1, tensor.bytes());
      }
    addresses.push_back(points);
  }
  return addresses;
}

TEST_CASE("op calls: a case, run as a call, is described as itself") {
  kernels::for_each_op([&](const auto& op) {
    CAPTURE(op.name);
    using Op = std::decay_t<decltype(op)>;
    const auto op_cases = cases_of(op);
    size_t number = 0;
    for (const auto& c : op_cases.tested()) {
      CAPTURE(number);
      ++number;
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        const auto first =
            op_cases.prepare(float{}, c, kernels::Filler(1, kernels::Fill::small_integers, accumulate));
        kernels::ArgumentReader reader(Device{});
        const CallJson call = op_calls().at(op.name).describe(&first.args, reader);
        // Through text, as in a file.
        CaseOf<Op> again{};
        from_case_json(CallJson::parse(call.dump())["case"], op.name, again);
        const bool any = call.contains("accumulate") || call.contains("in_place");
        const auto second = op_cases.prepare(
            float{}, again,
            kernels::Filler(2, kernels::Fill::uniform, any ? Accumulate::yes : Accumulate::no));
        CHECK(shapes_of(first.outputs) == shapes_of(second.outputs));
        CHECK(addresses_in(first.args, first) == addresses_in(second.args, second));
        // What is described of it again is the same, except for values that are drawn.
        if (std::string_view(op.name) != "nms" && !std::string_view(op.name).ends_with("cross_entropy") &&
            !std::string_view(op.name).ends_with("cross_entropy_backward") &&
            !std::string_view(op.name).starts_with("smooth_l1"))
          CHECK((op_calls().at(op.name).describe(&second.args, reader) == call));
      }
    }
  });
}

TEST_CASE("op calls: each gradient's flag is kept, whatever the others say") {
  using Args = kernels::BatchNormBackwardArgs<float>;
  kernels::ArgumentReader reader(Device{});
  auto p = kernels::prepare_batch_norm_backward<float>({6, 4, true, true},
                                                       kernels::Filler(1, kernels::Fill::uniform));
  p.args.accumulate_residual = Accumulate::yes;
  const CallJson call = op_calls().at("batch_norm_backward").describe(&p.args, reader);
  CHECK(call.dump() == R"({"case":{"rows":6,"c":4,"residual":true,"relu":true,"offset":0.0},)"
                       R"("accumulate":[false,false,false,true]})");
  std::vector<bool> flags;
  kernels::for_each_accumulate(static_cast<const Args&>(p.args),
                               [&](Accumulate flag) { flags.push_back(flag == Accumulate::yes); });
  CHECK(flags == std::vector{false, false, false, true});
  Context ctx;
  const auto repeated = op_calls().at("batch_norm_backward").repeat(call, {}, Device{});
  repeated->run(ctx, false);
  CHECK(repeated->variant(ctx) == "folded_rows");
}

TEST_CASE("op calls: the arithmetic and the traffic of a convolution, counted by hand") {
  CallJson call;
  call["case"] = to_case_json(kernels::Conv2dCase{{2, 5, 7, 3, 4, 3, 3, 1, 1, 1}, false, true});
  const CallWork work = op_calls().at("conv2d").work(call);
  CHECK(work.flop == 2.0 * (2 * 5 * 7 * 4) * (3 * 3 * 3));
  CHECK(work.bytes == 4.0 * (2 * 5 * 7 * 3 + 4 * 3 * 3 * 3 + 4 + 2 * 5 * 7 * 4));
  CHECK(short_text("conv2d", call) == "2x5x7x3 -> 4, 3x3");
}

TEST_CASE("op calls: the rows of a gradient that are not 0 are counted, and the gradient is kept") {
  const kernels::Conv2dCase c{{1, 8, 8, 2, 3, 1, 1, 1, 0, 1}, false, false, false, false, 16};
  const auto p = kernels::prepare_conv2d_dw<float>(c, kernels::Filler(1, kernels::Fill::uniform));
  kernels::ArgumentReader reader(Device{});
  const OpCalls& calls = op_calls().at("conv2d_dw");
  const CallJson call = calls.describe(&p.args, reader);
  CHECK(call["case"]["g_every"].get<int>() == 16);  // 4 of 64
  const auto values = calls.values(&p.args, call, reader);
  REQUIRE(values.size() == 1);
  CHECK(values.begin()->second.shape() == Shape{1, 8, 8, 3});
  CHECK(std::memcmp(values.begin()->second.raw(), p.args.g, 4 * 8 * 8 * 3) == 0);
  const auto dense = kernels::prepare_conv2d_dw<float>({c.shape}, kernels::Filler(1, kernels::Fill::uniform));
  const CallJson described = calls.describe(&dense.args, reader);
  CHECK(described["case"]["g_every"].get<int>() == 1);
  CHECK(calls.values(&dense.args, described, reader).empty());
}

TEST_CASE("op calls: what is no case of the op is refused with the field's name") {
  const auto refusal = [](const char* op, const char* text) -> std::string {
    try {
      op_calls().at(op).repeat(CallJson::parse(text), {}, Device{});
    } catch (const InputError& fault) {
      return fault.what();
    }
    return "accepted";
  };
  CHECK(refusal("softmax", R"({})") == R"(softmax: there is no "case")");
  CHECK(refusal("softmax", R"({"case": {"rows": 3}})") == R"(softmax: the field "c" is missing)");
  CHECK(refusal("softmax", R"({"case": {"rows": 3, "c": 1.5}})") ==
        "softmax.c: expected a whole number in the range of a size, found 1.5");
  CHECK(refusal("softmax", R"({"case": {"rows": -7, "c": 2}})") == "softmax.rows: expected a size, found -7");
  CHECK(refusal("top_k", R"({"case": {"n": 1, "rows": [1,2,3,4,5,6,7], "k": 2, "min_score": "-inf"}})") ==
        "top_k: expected at most 6 levels or terms, found 7");
  CHECK(refusal("softmax", R"({"case": {"rows": 9223372036854775818, "c": 2}})") ==
        "softmax.rows: expected a whole number in the range of a size, found 9223372036854775818");
  CHECK(refusal("softmax", R"({"case": {"rows": 3, "c": 2}})") == "accepted");
  // A case that the tests have, with one field changed.
  const auto changed = [&](const char* op, const char* pointer, const CallJson& value) {
    CallJson call;
    kernels::for_each_op([&](const auto& known) {
      if (std::string_view(op) == known.name) call["case"] = to_case_json(cases_of(known).tested().front());
    });
    call.at(CallJson::json_pointer(pointer)) = value;
    return refusal(op, call.dump().c_str());
  };
  CHECK(contains(changed("preprocess", "/case/width", 1),
                 "preprocess: expected images of at least one pixel that fit"));
  CHECK(contains(changed("preprocess", "/case/images/0/rh", 1 << 20),
                 "preprocess: expected images of at least"));
  CHECK(changed("anchors", "/case/0/cell_anchors", -1) == "anchors.cell_anchors: expected a size, found -1");
  CHECK(changed("batch_norm", "/case/c", 0) == "batch_norm: expected at least one channel");
  CHECK(changed("conv2d_dw", "/case/shape/stride", INT32_MAX) ==
        "conv2d_dw: it is not the shape of a convolution");
  CHECK(changed("conv2d", "/case/shape/pad", -1) == "conv2d.shape.pad: expected a size, found -1");
  CHECK(changed("roi_align_backward", "/case/roi/w", 0) ==
        "roi_align_backward: expected a map of at least one pixel");
  CHECK(changed("roi_align", "/case/sampling", 65) ==
        "roi_align.sampling: expected at most 64 for each direction, found 65");
  CHECK(changed("sample", "/case/positive_fraction", -1) ==
        "sample.positive_fraction: expected a share from 0 to 1, found -1");
  CHECK(contains(changed("max_pool", "/case/stride", 1 << 20),
                 "max_pool: expected a window and a stride above 0"));
}

TEST_CASE("roofs: both limits of a CPU are measured") {
  Context ctx;
  Roofs roofs = measure_roofs(ctx);
  CHECK(roofs.copy > 1e8);
  CHECK(roofs.products[Precision::f32] > 1e8);
}

}  // namespace
}  // namespace rcnn
