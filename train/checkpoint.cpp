#include "train/checkpoint.h"

#include <fmt/format.h>

#include <charconv>

#include "core/counted.h"
#include "core/files/safetensors.h"
#include "core/parallel.h"
#include "data/image.h"
#include "kernels/gemm/winograd.h"
#include "models/weights.h"
#include "train/config.h"

#if defined(RCNN_ONEDNN)
#include <dnnl.hpp>
#endif

namespace rcnn {
namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;

constexpr std::string_view kSetting = "setting.";

template <class T>
T require_number(const Metadata& metadata, const std::string& key, const std::filesystem::path& path) {
  const std::string& text = require_metadata(metadata, key, path);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_input(error == std::errc() && end == text.data() + text.size() && value >= 0,
              "{}: its metadata has {} = '{}', expected a number", path.string(), key, text);
  return value;
}

/// The default settings of a run of `model`. They stand in for settings that are newer than the file.
Metadata default_settings(const std::string& model) {
  Metadata settings;
  for (const auto& [key, value] : list_fields(model_config(model), model_fields())) settings[key] = value;
  for (const auto& [key, value] : list_fields(TrainConfig{}, train_fields())) settings[key] = value;
  return settings;
}

/// The tensor `name` of a resumed run, checked against the size of `target`. `prefix` is for messages.
const Tensor& require_tensor(const std::map<std::string, Tensor>& tensors, std::string_view prefix,
                             const std::string& name, const Tensor& target,
                             const std::filesystem::path& path) {
  const auto found = tensors.find(name);
  check_input(found != tensors.end(), "{}: tensor '{}{}' is missing; a run cannot be resumed without it",
              path.string(), prefix, name);
  check_input(found->second.dtype() == DType::f32 && found->second.numel() == target.numel(),
              "{}: tensor '{}{}' has shape {}, which does not fit", path.string(), prefix, name,
              found->second.shape().str());
  return found->second;
}

/// Initial weights may be named in another way when it is the same file.
bool same_setting(const std::string& key, const std::string& saved, const std::string& now) {
  std::error_code unknown;
  return saved == now || (key == "weights" && !saved.empty() && !now.empty() &&
                          std::filesystem::equivalent(saved, now, unknown));
}

/// What to do instead where a run is to become longer or shorter than it began; otherwise empty.
std::string way_out(const std::string& key, const std::filesystem::path& path) {
  if (key != "epochs" && key != "steps" && key != "minutes") return "";
  std::error_code unknown;
  const std::filesystem::path best = path.parent_path() / "best.safetensors";
  return fmt::format(
      "; the learning rate of every step follows from the length of the run, which therefore cannot be "
      "changed. To train on, start another run from its weights: --weights {} --out ANOTHER_FOLDER",
      std::filesystem::exists(best, unknown) ? best.string() : path.string());
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                     const RunState& state) {
  Tensors tensors = save_weights(*detector.model);
  const auto add = [&](std::string_view prefix, const std::string& name, const Tensor& value,
                       const Shape& pooled) {
    tensors.emplace_back(std::string(prefix) + name, to_file_layout(value.to(Device{}), pooled));
  };
  for (const Sgd::Parameter& p : sgd.parameters()) add(kOptimizerPrefix, p.name, p.momentum, p.pooled);
  if (ema)
    for (const Ema::Average& e : ema->averages()) add(kAveragePrefix, e.name, e.average, e.pooled);
  Metadata metadata = detector_metadata(detector);
  metadata["step"] = std::to_string(state.step);
  metadata["train_seconds"] = fmt::format("{}", state.train_seconds);
  if (state.best_step > 0) {
    metadata["best"] = fmt::format("{}", state.best);
    metadata["best_step"] = std::to_string(state.best_step);
  }
  if (state.evaluation_due) metadata["evaluation_due"] = "true";
  metadata["numerics"] = state.numerics.empty() ? numerics_description() : state.numerics;
  if (!state.data_sha256.empty()) metadata["data_sha256"] = state.data_sha256;
  for (const auto& [key, value] : state.settings) metadata[std::string(kSetting) + key] = value;
  write_safetensors(path, tensors, metadata);
}

RunState load_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                         const std::map<std::string, std::string>& settings) {
  SafetensorsFile file = read_safetensors(path);
  RunState state;
  state.step = require_number<int64_t>(file.metadata, "step", path);
  state.train_seconds = require_number<double>(file.metadata, "train_seconds", path);
  if (file.metadata.contains("best_step")) {
    state.best_step = require_number<int64_t>(file.metadata, "best_step", path);
    state.best = require_number<double>(file.metadata, "best", path);
  }
  state.evaluation_due = file.metadata.contains("evaluation_due");
  state.numerics = require_metadata(file.metadata, "numerics", path);
  for (const auto& [key, value] : file.metadata)
    if (key.starts_with(kSetting)) state.settings[key.substr(kSetting.size())] = value;
  const Metadata defaults = default_settings(detector.model->config.backbone);
  // Settings come first, because a changed setting explains why a tensor does not fit.
  for (const auto& [key, value] : settings) {
    if (const auto found = defaults.find(key); found != defaults.end())
      state.settings.try_emplace(key, found->second);
    check_input(same_setting(key, state.settings[key], value),
                "{}: the run to resume has --{} '{}', not '{}'{}", path.string(), key, state.settings[key],
                value, way_out(key, path));
  }
  check_input(saved_classes(file.metadata, path) == detector.classes,
              "{}: its classes are not those of the training data", path.string());

  const std::map<std::string, Tensor> momenta = take_prefixed(file.tensors, kOptimizerPrefix),
                                      averages = take_prefixed(file.tensors, kAveragePrefix);
  // Everything is checked before anything is changed.
  for (const Sgd::Parameter& p : sgd.parameters())
    require_tensor(momenta, kOptimizerPrefix, p.name, p.momentum, path);
  if (ema)
    for (const Ema::Average& e : ema->averages())
      require_tensor(averages, kAveragePrefix, e.name, e.average, path);
  load_weights(*detector.model, file.tensors, path.string());
  const auto restore = [](const Tensor& target, const Tensor& source, const Shape& pooled) {
    target.copy_from(from_file_layout(source, target.shape(), pooled).to(target.device()));
  };
  for (const Sgd::Parameter& p : sgd.parameters()) restore(p.momentum, momenta.at(p.name), p.pooled);
  if (ema)
    for (const Ema::Average& e : ema->averages()) restore(e.average, averages.at(e.name), e.pooled);
  return state;
}

std::string numerics_description(const kernels::Plans* plans) {
#if defined(RCNN_ONEDNN)
  const dnnl_version_t* version = dnnl_version();
  const std::string library = fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
#else
  const std::string library = "no oneDNN";
#endif
  // The instruction set for which the processor's kernels are compiled; oneDNN chooses by it, too.
  const char* instructions = kernels::winograd_kernels(4).front()->instruction_set;
  return fmt::format("{}, {}, {} kernels, {}{}", library, jpeg_library(), instructions,
                     counted(thread_count(), "thread"),
                     plans && !plans->digest.empty() ? ", plans " + plans->digest : "");
}

}  // namespace rcnn
