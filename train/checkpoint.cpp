#include "train/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/files/safetensors.h"
#include "core/files/weights_file.h"
#include "core/parallel.h"
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
constexpr std::string_view kAverage = "ema.";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kSetting = "setting.";
constexpr const char* kFormat = "rcnn.cu 1";

Metadata model_metadata(const Detector& detector) {
  Metadata metadata{{"format", kFormat}, {"classes", nlohmann::ordered_json(detector.classes).dump()}};
  for (const auto& [key, value] : list_fields(detector.model->config, model_fields()))
    metadata[std::string(kModel) + key] = value;
  if (!detector.category_ids.empty()) metadata["category_ids"] = nlohmann::json(detector.category_ids).dump();
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

/// COCO's numbers of the classes, where the file has them.
std::vector<int64_t> parse_category_ids(const Metadata& metadata, size_t classes,
                                        const std::filesystem::path& path) {
  const auto found = metadata.find("category_ids");
  if (found == metadata.end()) return {};
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  bool fits = json.is_array() && json.size() == classes;
  if (fits)
    for (const auto& number : json) fits = fits && number.is_number_integer();
  check_input(fits, "{}: its metadata's 'category_ids' is not a list of {} whole numbers", path.string(),
              classes);
  return json.get<std::vector<int64_t>>();
}

/// The settings of a run of `model` that says nothing: what a file means that is older than a setting.
Metadata default_settings(const std::string& model) {
  Metadata settings;
  for (const auto& [key, value] : list_fields(model_config(model), model_fields())) settings[key] = value;
  for (const auto& [key, value] : list_fields(TrainConfig{}, train_fields())) settings[key] = value;
  return settings;
}

/// Takes the tensors whose names begin with `prefix` out of a file's; the prefix is removed.
std::map<std::string, Tensor> take(std::map<std::string, Tensor>& tensors, std::string_view prefix) {
  std::map<std::string, Tensor> taken;
  for (auto it = tensors.begin(); it != tensors.end();) {
    if (!it->first.starts_with(prefix)) {
      ++it;
      continue;
    }
    taken[it->first.substr(prefix.size())] = it->second;
    it = tensors.erase(it);
  }
  return taken;
}

/// Leaves a file's tensors with those of the model alone.
void drop_run(std::map<std::string, Tensor>& tensors) {
  take(tensors, kOptimizer);
  take(tensors, kAverage);
}

/// The model that the metadata describe.
ModelConfig config_of(const Metadata& metadata, const std::filesystem::path& path) {
  require(metadata, "format", path);
  const std::string& name = require(metadata, std::string(kModel) + "model", path);
  try {
    ModelConfig config = model_config(name);
    // A file from before there was a setting does not have it: that is its model's default then.
    for (const Field<ModelConfig>& field : model_fields())
      if (const auto found = metadata.find(std::string(kModel) + std::string(field.key));
          found != metadata.end())
        set_field(config, model_fields(), field.key, found->second);
    return config;
  } catch (const InputError& error) {
    throw InputError(
        fmt::format("{}: its metadata does not describe a model: {}", path.string(), error.what()));
  }
}

/// One value a tensor of a run, `prefix` before its name: found, and of the right size.
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

}  // namespace

void save_model(const std::filesystem::path& path, Detector& detector) {
  write_safetensors(path, save_weights(*detector.model), model_metadata(detector));
}

Detector load_model(const std::filesystem::path& path) {
  SafetensorsFile file = read_weights_file(path);
  const ModelConfig config = config_of(file.metadata, path);
  Detector detector;
  detector.classes = parse_classes(file.metadata, path);
  detector.category_ids = parse_category_ids(file.metadata, detector.classes.size(), path);
  try {
    detector.model =
        std::make_unique<FasterRcnn>(config, static_cast<int64_t>(detector.classes.size()), Init(0));
  } catch (const InputError& error) {
    throw InputError(
        fmt::format("{}: its metadata does not describe a model: {}", path.string(), error.what()));
  }
  drop_run(file.tensors);
  load_weights(*detector.model, file.tensors, path.string());
  return detector;
}

void reload_model(const std::filesystem::path& path, FasterRcnn& model) {
  SafetensorsFile file = read_safetensors(path);
  drop_run(file.tensors);
  load_weights(model, file.tensors, path.string());
}

std::optional<ModelConfig> saved_config(const std::filesystem::path& path) {
  const SafetensorsFile file = read_weights_file(path);
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) return std::nullopt;
  return config_of(file.metadata, path);
}

void save_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                     const RunState& state) {
  Tensors tensors = save_weights(*detector.model);
  const auto add = [&](std::string_view prefix, const std::string& name, const Tensor& value,
                       const Shape& pooled) {
    tensors.emplace_back(std::string(prefix) + name, to_file_layout(value.to(Device{}), pooled));
  };
  for (const Sgd::Parameter& p : sgd.parameters()) add(kOptimizer, p.name, p.momentum, p.pooled);
  if (ema)
    for (const Ema::Average& e : ema->averages()) add(kAverage, e.name, e.average, e.pooled);
  Metadata metadata = model_metadata(detector);
  metadata["step"] = std::to_string(state.step);
  metadata["train_seconds"] = fmt::format("{}", state.train_seconds);
  if (state.best_step > 0) {
    metadata["best"] = fmt::format("{}", state.best);
    metadata["best_step"] = std::to_string(state.best_step);
  }
  metadata["numerics"] = numerics_description();
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

  const std::map<std::string, Tensor> momenta = take(file.tensors, kOptimizer),
                                      averages = take(file.tensors, kAverage);
  // Everything is looked at before anything is changed.
  for (const Sgd::Parameter& p : sgd.parameters())
    require_tensor(momenta, kOptimizer, p.name, p.momentum, path);
  if (ema)
    for (const Ema::Average& e : ema->averages()) require_tensor(averages, kAverage, e.name, e.average, path);
  load_weights(*detector.model, file.tensors, path.string());
  const auto restore = [](const Tensor& target, const Tensor& source, const Shape& pooled) {
    target.copy_from(from_file_layout(source, target.shape(), pooled).to(target.device()));
  };
  for (const Sgd::Parameter& p : sgd.parameters()) restore(p.momentum, momenta.at(p.name), p.pooled);
  if (ema)
    for (const Ema::Average& e : ema->averages()) restore(e.average, averages.at(e.name), e.pooled);
  return state;
}

WeightsReport load_weights_file(const std::filesystem::path& path, Detector& detector, bool keep_classes) {
  SafetensorsFile file = read_weights_file(path);
  drop_run(file.tensors);
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
