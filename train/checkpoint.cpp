#include "train/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "core/safetensors.h"
#include "models/weights.h"
#include "train/config.h"

#if defined(RCNN_ONEDNN)
#include <dnnl.hpp>
#endif

namespace rcnn {
namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;
using Metadata = std::map<std::string, std::string>;

constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kSetting = "setting.";
constexpr const char* kFormat = "rcnn.cu 1";

Metadata model_metadata(const Detector& detector) {
  Metadata metadata{{"format", kFormat}, {"classes", nlohmann::ordered_json(detector.classes).dump()}};
  for (const auto& [key, value] : list_fields(detector.model->config, model_fields()))
    metadata[std::string(kModel) + key] = value;
  return metadata;
}

const std::string& require(const Metadata& metadata, const std::string& key,
                           const std::filesystem::path& path) {
  const auto found = metadata.find(key);
  check_input(found != metadata.end(), "{}: its metadata lacks '{}'; expected a checkpoint written by rcnn",
              path.string(), key);
  return found->second;
}

template <class T>
T require_number(const Metadata& metadata, const std::string& key, const std::filesystem::path& path) {
  const std::string& text = require(metadata, key, path);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_input(error == std::errc() && end == text.data() + text.size() && value >= 0,
              "{}: its metadata has {} = '{}', expected a number", path.string(), key, text);
  return value;
}

std::vector<std::string> parse_classes(const Metadata& metadata, const std::filesystem::path& path) {
  const auto json = nlohmann::json::parse(require(metadata, "classes", path), nullptr, false);
  bool fits = json.is_array() && !json.empty();
  if (fits)
    for (const auto& name : json) fits = fits && name.is_string();
  check_input(fits, "{}: its metadata's 'classes' is not a list of names", path.string());
  return json.get<std::vector<std::string>>();
}

/// The settings of a run of `model` that says nothing: what a file means that is older than a setting.
Metadata default_settings(const std::string& model) {
  Metadata settings;
  for (const auto& [key, value] : list_fields(model_config(model), model_fields())) settings[key] = value;
  for (const auto& [key, value] : list_fields(TrainConfig{}, train_fields())) settings[key] = value;
  return settings;
}

/// The file's tensors with the optimiser's taken out (their prefix removed).
std::map<std::string, Tensor> take_optimizer(std::map<std::string, Tensor>& tensors) {
  std::map<std::string, Tensor> optimizer;
  for (auto it = tensors.begin(); it != tensors.end();) {
    if (!it->first.starts_with(kOptimizer)) {
      ++it;
      continue;
    }
    optimizer[it->first.substr(kOptimizer.size())] = it->second;
    it = tensors.erase(it);
  }
  return optimizer;
}

}  // namespace

void save_model(const std::filesystem::path& path, Detector& detector) {
  write_safetensors(path, save_weights(*detector.model), model_metadata(detector));
}

Detector load_model(const std::filesystem::path& path) {
  SafetensorsFile file = read_safetensors(path);
  const auto describe = [&](const auto& action) {
    try {
      action();
    } catch (const InputError& error) {
      throw InputError(
          fmt::format("{}: its metadata does not describe a model: {}", path.string(), error.what()));
    }
  };
  require(file.metadata, "format", path);
  ModelConfig config;
  describe([&] { config = model_config(require(file.metadata, std::string(kModel) + "model", path)); });
  // A file from before there was a setting does not have it: that is its model's default then.
  for (const Field<ModelConfig>& field : model_fields())
    if (const auto found = file.metadata.find(std::string(kModel) + std::string(field.key));
        found != file.metadata.end())
      describe([&] { set_field(config, model_fields(), field.key, found->second); });
  Detector detector;
  detector.classes = parse_classes(file.metadata, path);
  describe([&] {
    detector.model =
        std::make_unique<FasterRcnn>(config, static_cast<int64_t>(detector.classes.size()), Init(0));
  });
  take_optimizer(file.tensors);
  load_weights(*detector.model, file.tensors, path.string());
  return detector;
}

void save_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, const RunState& state) {
  Tensors tensors = save_weights(*detector.model);
  for (const Sgd::Parameter& p : sgd.parameters())
    tensors.emplace_back(std::string(kOptimizer) + p.name, to_file_layout(p.momentum.to(Device{}), p.pooled));
  Metadata metadata = model_metadata(detector);
  metadata["step"] = std::to_string(state.step);
  metadata["train_seconds"] = fmt::format("{}", state.train_seconds);
  metadata["numerics"] = numerics_description();
  for (const auto& [key, value] : state.settings) metadata[std::string(kSetting) + key] = value;
  write_safetensors(path, tensors, metadata);
}

RunState load_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd,
                         const std::map<std::string, std::string>& settings) {
  SafetensorsFile file = read_safetensors(path);
  RunState state;
  state.step = require_number<int64_t>(file.metadata, "step", path);
  state.train_seconds = require_number<double>(file.metadata, "train_seconds", path);
  state.numerics = require(file.metadata, "numerics", path);
  for (const auto& [key, value] : file.metadata)
    if (key.starts_with(kSetting)) state.settings[key.substr(kSetting.size())] = value;
  const Metadata defaults = default_settings(detector.model->config.backbone);
  for (const auto& [key, value] : settings) {  // first: a changed setting explains a tensor that does not fit
    if (const auto found = defaults.find(key); found != defaults.end())
      state.settings.try_emplace(key, found->second);
    check_input(state.settings[key] == value, "{}: the run to resume has --{} '{}', not '{}'", path.string(),
                key, state.settings[key], value);
  }
  check_input(parse_classes(file.metadata, path) == detector.classes,
              "{}: its classes are not those of the training data", path.string());

  const std::map<std::string, Tensor> momenta = take_optimizer(file.tensors);
  for (const Sgd::Parameter& p : sgd.parameters()) {
    const auto found = momenta.find(p.name);
    check_input(found != momenta.end(), "{}: tensor '{}{}' is missing; a run cannot be resumed without it",
                path.string(), kOptimizer, p.name);
    check_input(found->second.dtype() == DType::f32 && found->second.numel() == p.momentum.numel(),
                "{}: tensor '{}{}' has shape {}, which does not fit", path.string(), kOptimizer, p.name,
                found->second.shape().str());
  }
  load_weights(*detector.model, file.tensors, path.string());
  for (Sgd::Parameter& p : sgd.parameters())
    p.momentum.copy_from(
        from_file_layout(momenta.at(p.name), p.momentum.shape(), p.pooled).to(p.momentum.device()));
  return state;
}

WeightsReport load_weights_file(const std::filesystem::path& path, Detector& detector, bool keep_classes) {
  SafetensorsFile file = read_safetensors(path);
  take_optimizer(file.tensors);
  std::vector<std::string> classes;
  if (file.metadata.contains("classes")) classes = parse_classes(file.metadata, path);
  return start_from_weights(*detector.model, detector.classes, {path.string(), file.tensors, classes},
                            keep_classes);
}

std::string numerics_description() {
#if defined(RCNN_ONEDNN)
  const dnnl_version_t* version = dnnl_version();
  const std::string library = fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
#else
  const std::string library = "no oneDNN";
#endif
  return fmt::format("{}, {} threads", library, thread_count());
}

}  // namespace rcnn
