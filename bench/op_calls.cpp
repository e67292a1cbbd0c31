#include "bench/op_calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/call_case.h"
#include "bench/case_json.h"
#include "bench/kept_forms.h"
#include "kernels/cases_device.h"

namespace rcnn {
namespace {

constexpr size_t kMaxValues = size_t{4} << 20;  // bytes of an input that is kept

template <class Args>
kernels::WeightsKey weights_of(const Args& args) {
  if constexpr (requires { args.weights.scale_id; })
    return args.weights;
  else
    return {};
}

template <class Op>
CallJson describe(const void* args, kernels::ArgumentReader& reader) {
  const auto& a = *static_cast<const typename Op::Args*>(args);
  CallJson call;
  call["case"] = to_case_json(case_of(a, reader));
  CallJson flags = CallJson::array();
  bool any = false;
  kernels::for_each_accumulate(a, [&](Accumulate flag) {
    flags.push_back(flag == Accumulate::yes);
    any |= flag == Accumulate::yes;
  });
  if (any) call["accumulate"] = flags;
  if (!any && kernels::adds_to_output(a)) call["in_place"] = true;
  if (weights_of(a).id != 0) call["weights"] = true;
  return call;
}

/// Calls f(number, address in the call's arguments) for each input of the prepared case that the call has. An
/// input is recognised by the member that points to it.
template <class Args, class F>
void for_each_input(const kernels::Prepared<Args>& p, const Args& args, F f) {
  for (size_t at = 0; at + sizeof(void*) <= sizeof(Args); at += alignof(void*)) {
    const void *ours, *theirs;
    std::memcpy(&ours, reinterpret_cast<const char*>(&p.args) + at, sizeof ours);
    std::memcpy(&theirs, reinterpret_cast<const char*>(&args) + at, sizeof theirs);
    for (size_t i = 0; i < p.inputs.size(); ++i)
      if (ours == p.inputs[i].raw() && p.inputs[i].bytes() > 0 && theirs != nullptr)
        f(static_cast<int>(i), theirs);
  }
}

/// Whether input i decides how long a call takes.
template <class Op>
bool decides(const Op& op, const kernels::Prepared<typename Op::Args>& p, size_t i) {
  const Tensor& input = p.inputs[i];
  const std::string_view name = op.name;
  if (input.bytes() > kMaxValues || input.dtype() == DType::u8) return false;
  if constexpr (requires { *p.args.g; })
    return name.starts_with("conv2d") && static_cast<const void*>(p.args.g) == input.raw();
  if (name.starts_with("roi_"))  // RoIs and their numbers, but no maps
    return input.dtype() == DType::i32 || (input.shape().rank() == 3 && input.dim(2) == 4);
  return true;
}

bool depends_on_values(std::string_view op, const CallJson& call) {
  static constexpr std::string_view kOps[] = {"top_k",       "nms",
                                              "match",       "sample",
                                              "select_rois", "proposals",
                                              "class_boxes", "box_targets",
                                              "roi_align",   "roi_align_backward",
                                              "roi_pool",    "roi_pool_backward"};
  if (op == "conv2d_dx" || op == "conv2d_dw") return call["case"]["g_every"] != 1;
  return std::ranges::find(kOps, op) != std::end(kOps);
}

template <class Op>
std::map<int, Tensor> values_of(const Op& op, const void* args, const CallJson& call,
                                const kernels::ArgumentReader& reader) {
  std::map<int, Tensor> values;
  if (!depends_on_values(op.name, call)) return values;
  const auto p = prepare_call(op, call);
  for_each_input(p, *static_cast<const typename Op::Args*>(args), [&](int i, const void* from) {
    const Tensor& like = p.inputs[static_cast<size_t>(i)];
    if (!decides(op, p, static_cast<size_t>(i))) return;
    const Tensor value = Tensor::empty(like.shape(), like.dtype());
    reader.copy(value.mutable_raw(), from, value.bytes());
    values[i] = value;
  });
  return values;
}

template <class Op>
CallWork work_of(const Op& op, const CallJson& call) {
  const auto p = prepare_call(op, call);
  CallWork work{p.flop, p.bytes};
  if (work.bytes > 0) return work;
  for (const auto* list : {&p.inputs, &p.outputs})
    for (const Tensor& tensor : *list) work.bytes += static_cast<double>(tensor.bytes());
  return work;
}

template <class Op>
inline constexpr bool takes_plans = requires(const typename Op::Args& args) {
  plan_shape(args);
};

template <class Op>
class Repeated : public RepeatedCall {
 public:
  Repeated(const Op& op, const CallJson& call, const std::map<int, Tensor>& values, Device device) : op_(op) {
    kernels::UniformTensors noted;
    prepared_ = prepare_call(op, call, values, &noted);
    if (device.type == DeviceType::cuda) {
      prepared_ = kernels::on_device(prepared_, device, noted);
      forms_.belong_to(prepared_.args);
    }
    if constexpr (requires { prepared_.args.weights.scale_id; })
      if (call.value("weights", false))
        prepared_.args.weights.id = prepared_.outputs.at(0).storage().id;  // unique
  }

  void run(Context& ctx, bool new_weights) override {
    if constexpr (requires { prepared_.args.weights.scale_id; })
      if (new_weights) ++prepared_.args.weights.version;
    kernels::run(ctx, op_, prepared_.args);
  }
  std::string variant(Context& ctx) const override { return kernels::choose(ctx, op_, prepared_.args).name; }
  kernels::PlannedCall planned_call([[maybe_unused]] Context& ctx) const override {
    if constexpr (takes_plans<Op>)
      return {op_.name, plan_shape(prepared_.args), kernels::preferred(ctx, op_, prepared_.args).name};
    else
      throw Error(fmt::format("{} takes no plans", op_.name));
  }
  std::vector<kernels::CallPlan> ways(Context& ctx) override {
    const auto& first = kernels::preferred(ctx, op_, prepared_.args);
    std::vector<kernels::CallPlan> ways;
    for (std::string& cut : cuts_of(ctx, first)) ways.push_back({first.name, std::move(cut)});
    if (ways.empty()) ways.push_back({first.name});
    for (const auto& variant : op_.variants)
      if (ctx.device.type == DeviceType::cpu && &variant != &first && !too_slow(variant) &&
          variant.backend.precision == first.backend.precision && kernels::fits(ctx, variant, prepared_.args))
        ways.push_back({variant.name});
    return ways;
  }
  int64_t bytes() const override {
    size_t bytes = 0;
    for (const auto* list : {&prepared_.inputs, &prepared_.outputs})
      for (const Tensor& tensor : *list) bytes += tensor.bytes();
    return static_cast<int64_t>(bytes);
  }

 private:
  /// What the variant's kernel offers while it runs.
  template <class Variant>
  std::vector<std::string> cuts_of(Context& ctx, const Variant& variant) {
    std::vector<std::string> cuts;
    kernels::CutOfCall& call = ctx.workspace.cache<kernels::CutOfCall>();
    call.offered = &cuts;
    try {
      const Workspace::Scope scope(ctx.workspace);
      variant.run(ctx.stream, ctx.workspace, prepared_.args);
    } catch (...) {
      call.offered = nullptr;
      throw;
    }
    call.offered = nullptr;
    return cuts;
  }
  /// The reference can only be the fastest where there is next to nothing to do.
  template <class Variant>
  bool too_slow(const Variant& variant) const {
    constexpr double kMaxFlop = 1e7;
    return &variant == &op_.variants.back() && prepared_.flop > kMaxFlop;
  }

  const Op& op_;
  kernels::Prepared<typename Op::Args> prepared_;
  KeptForms forms_ = {};
};

std::map<std::string_view, OpCalls> make_table() {
  std::map<std::string_view, OpCalls> table;
  kernels::for_each_op([&]<class Op>(const Op& op) {
    table[op.name] = {
        sizeof(typename Op::Args),
        takes_plans<Op>,
        describe<Op>,
        [](const void* args) { return weights_of(*static_cast<const typename Op::Args*>(args)); },
        [&op](const void* args, const CallJson& call, const kernels::ArgumentReader& reader) {
          return values_of(op, args, call, reader);
        },
        [&op](const CallJson& call) { return work_of(op, call); },
        [&op](const CallJson& call) { return depends_on_values(op.name, call); },
        [&op](const CallJson& call, const std::map<int, Tensor>& values,
              Device device) -> std::unique_ptr<RepeatedCall> {
          return std::make_unique<Repeated<Op>>(op, call, values, device);
        }};
  });
  return table;
}

std::string list_text(const CallJson& list) {
  constexpr size_t kShown = 6;
  std::string text;
  for (size_t i = 0; i < std::min(list.size(), kShown); ++i)
    text += (i == 0 ? "" : ",") + (list[i].is_object() ? std::string("..") : list[i].dump());
  return list.size() > kShown ? fmt::format("{} of {}", list.size(), text.substr(0, text.find(','))) : text;
}

}  // namespace

const std::map<std::string_view, OpCalls>& op_calls() {
  static const std::map<std::string_view, OpCalls> table = make_table();
  return table;
}

std::string short_text(std::string_view op, const CallJson& call) {
  const CallJson& c = call["case"];
  if (op.starts_with("conv2d")) {
    const CallJson& s = c["shape"];
    const auto number = [&](const char* key) { return s[key].get<int64_t>(); };
    std::string text = fmt::format("{}x{}x{}x{} -> {}, {}x{}", number("n"), number("h"), number("w"),
                                   number("c"), number("k"), number("r"), number("s"));
    if (number("stride") != 1) text += fmt::format(" /{}", number("stride"));
    return text;
  }
  if (op == "matmul")
    return fmt::format("{}x{}x{}", c["m"].get<int64_t>(), c["n"].get<int64_t>(), c["k"].get<int64_t>());
  std::string text;
  const auto add = [&](const CallJson& object, const auto& self) -> void {
    for (const auto& [key, value] : object.items()) {
      if (value.is_object()) {
        self(value, self);
      } else if (value.is_array()) {
        text += fmt::format(" {} {}", key, list_text(value));
      } else if (value.is_number_integer() && value != 0) {
        text += fmt::format(" {} {}", key, value.template get<int64_t>());
      }
    }
  };
  if (c.is_array())
    text = " " + std::to_string(c.size()) + " levels";
  else
    add(c, add);
  return text.empty() ? "" : text.substr(1);
}

}  // namespace rcnn
