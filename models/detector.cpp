#include "models/detector.h"

#include <nlohmann/json.hpp>

#include "core/files/weights_file.h"
#include "models/weights.h"

namespace rcnn {
namespace {

constexpr std::string_view kModel = "model.";
constexpr const char* kFormat = "rcnn.cu 1";

/// COCO's category ids of the classes, if the file has them.
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

/// Removes what a training run's checkpoint has in addition to the model.
void drop_run(std::map<std::string, Tensor>& tensors) {
  take_prefixed(tensors, kOptimizerPrefix);
  take_prefixed(tensors, kAveragePrefix);
}

/// The configuration of the model that the metadata describes.
ModelConfig config_of(const Metadata& metadata, const std::filesystem::path& path) {
  require_metadata(metadata, "format", path);
  const std::string& name = require_metadata(metadata, std::string(kModel) + "model", path);
  try {
    ModelConfig config = model_config(name);
    // A file older than a setting does not have it: the model's default applies.
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

}  // namespace

Metadata detector_metadata(const Detector& detector) {
  Metadata metadata{{"format", kFormat}, {"classes", nlohmann::ordered_json(detector.classes).dump()}};
  for (const auto& [key, value] : list_fields(detector.model->config, model_fields()))
    metadata[std::string(kModel) + key] = value;
  if (!detector.category_ids.empty()) metadata["category_ids"] = nlohmann::json(detector.category_ids).dump();
  return metadata;
}

const std::string& require_metadata(const Metadata& metadata, const std::string& key,
                                    const std::filesystem::path& path) {
  const auto found = metadata.find(key);
  check_input(found != metadata.end(), "{}: its metadata lacks '{}'; expected a checkpoint written by rcnn",
              path.string(), key);
  return found->second;
}

std::vector<std::string> saved_classes(const Metadata& metadata, const std::filesystem::path& path) {
  const auto json = nlohmann::json::parse(require_metadata(metadata, "classes", path), nullptr, false);
  bool fits = json.is_array() && !json.empty();
  if (fits)
    for (const auto& name : json) fits = fits && name.is_string();
  check_input(fits, "{}: its metadata's 'classes' is not a list of names", path.string());
  return json.get<std::vector<std::string>>();
}

std::map<std::string, Tensor> take_prefixed(std::map<std::string, Tensor>& tensors, std::string_view prefix) {
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

void save_model(const std::filesystem::path& path, Detector& detector) {
  write_safetensors(path, save_weights(*detector.model), detector_metadata(detector));
}

Detector load_model(const std::filesystem::path& path) {
  SafetensorsFile file = read_weights_file(path);
  const ModelConfig config = config_of(file.metadata, path);
  Detector detector;
  detector.classes = saved_classes(file.metadata, path);
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

WeightsReport load_weights_file(const std::filesystem::path& path, Detector& detector, bool keep_classes) {
  SafetensorsFile file = read_weights_file(path);
  drop_run(file.tensors);
  std::vector<std::string> classes;
  if (file.metadata.contains("classes")) classes = saved_classes(file.metadata, path);
  return start_from_weights(*detector.model, detector.classes, {path.string(), file.tensors, classes},
                            keep_classes);
}

}  // namespace rcnn
