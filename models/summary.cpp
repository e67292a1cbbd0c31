#include "models/summary.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace rcnn {
namespace {

/// `backbone.body.conv1` for `backbone.body.conv1.weight`.
std::string layer_name(const std::string& parameter) { return parameter.substr(0, parameter.rfind('.')); }

double products(const Tensor& weight, const Tensor& output) {
  // Every element of the output is a sum of products with one filter, or with one row of weights.
  return 2.0 * static_cast<double>(output.numel()) * static_cast<double>(weight.numel() / weight.dim(0));
}

}  // namespace

std::string with_commas(int64_t number) {
  std::string text = fmt::format("{}", number);
  for (auto at = static_cast<ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::vector<LayerCall> list_layers(FasterRcnn& model, int64_t height, int64_t width) {
  std::map<uint64_t, std::string> names;  // of parameters, by their storage
  for_each_parameter(model,
                     [&](const std::string& name, Var& value) { names[value.value().storage().id] = name; });
  std::vector<LayerCall> calls;
  std::set<std::string> counted;
  Context ctx;
  ctx.grad = true;  // otherwise nothing would be recorded
  ctx.watch = [&](const Node& layer, const std::vector<Var>& inputs, const Tensor& output) {
    LayerCall call;
    call.kind = layer.name();
    if (call.kind == "reshape") return;
    call.output = output.shape();
    call.bytes = output.bytes();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined()) continue;
      const auto found = names.find(inputs[i].value().storage().id);
      if (found == names.end()) continue;
      if (call.name.empty()) {
        call.name = layer_name(found->second);
        if (inputs[i].shape().rank() > 1) call.flop = products(inputs[i].value(), output);
      }
      if (counted.insert(found->second).second) call.parameters += inputs[i].value().numel();
    }
    calls.push_back(call);
  };
  const Tensor pixels = Tensor::zeros({1, height, width, 3}, DType::f32);
  for (int64_t i = 0; i < pixels.numel(); ++i)
    pixels.mutable_data<float>()[i] = static_cast<float>(i % 7 - 3) / 2;
  const Tensor size = Tensor::of<float>({1, 2}, {static_cast<float>(height), static_cast<float>(width)});
  model.detections(ctx, {pixels, size});
  return calls;
}

std::string describe_layers(FasterRcnn& model, const std::vector<LayerCall>& layers) {
  std::string text = fmt::format("{:40} {:16} {:>16} {:>11} {:>7} {:>5}\n", "layer", "kind", "output",
                                 "parameters", "GFLOP", "MiB");
  constexpr double kMiB = 1 << 20;
  double flop = 0, bytes = 0;
  int64_t trained = 0, frozen = 0;
  for (const LayerCall& call : layers) {
    std::vector<int64_t> sides;
    for (int i = call.output.rank() == 4 && call.output[0] == 1 ? 1 : 0; i < call.output.rank(); ++i)
      sides.push_back(call.output[i]);
    text += fmt::format(
        "{:40} {:16} {:>16} {:>11} {:>7} {:>5.1f}\n", call.name, call.kind,
        fmt::format("{}", fmt::join(sides, "x")), call.parameters > 0 ? with_commas(call.parameters) : "",
        call.flop > 0 ? fmt::format("{:.3f}", call.flop / 1e9) : "", static_cast<double>(call.bytes) / kMiB);
    flop += call.flop;
    bytes += static_cast<double>(call.bytes);
  }
  for_each_parameter(model, [&](const std::string&, Var& value) {
    (value.requires_grad() ? trained : frozen) += value.value().numel();
  });
  text += fmt::format("{} parameters", with_commas(trained));
  if (frozen > 0) text += fmt::format(" and {} of frozen batch normalisation", with_commas(frozen));
  return text + fmt::format(" ({:.1f} MiB), {:.1f} GFLOP, outputs {:.1f} MiB\n",
                            static_cast<double>(trained + frozen) * 4 / kMiB, flop / 1e9, bytes / kMiB);
}

}  // namespace rcnn
