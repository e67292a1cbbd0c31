#include "models/detector.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files/tensor_file.h"
#include "core/files/weights_file.h"
#include "models/class_names.h"
#include "models/inferred.h"
#include "models/weight_names.h"
#include "models/weights.h"

namespace rcnn {
namespace {

constexpr std::string_view kModel = "model.";
constexpr const char* kFormat = "rcnn.cu 1";
constexpr const char* kTrained = "trained";   // "rpn" if that is all that was; absent otherwise
constexpr int64_t kMaxId = int64_t{1} << 53;  // every reader of JSON keeps these exactly

bool is_category_id(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>() <= static_cast<uint64_t>(kMaxId);
  return value.is_number_integer() && value.get<int64_t>() >= -kMaxId && value.get<int64_t>() <= kMaxId;
}

/// COCO's category ids of the classes, if the file has them.
std::vector<int64_t> parse_category_ids(const Metadata& metadata, size_t classes,
                                        const std::filesystem::path& path) {
  const auto found = metadata.find("category_ids");
  if (found == metadata.end()) return {};
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  const bool fits =
      json.is_array() && json.size() == classes && std::all_of(json.begin(), json.end(), is_category_id);
  const auto ids = fits ? json.get<std::set<int64_t>>() : std::set<int64_t>();
  check_input(fits && ids.size() == classes,
              "{}: its metadata's 'category_ids' is not a list of {} different whole numbers from {} to {}",
              path.string(), classes, -kMaxId, kMaxId);
  return json.get<std::vector<int64_t>>();
}

/// The recommended confidence thresholds, if the file has them.
std::vector<float> parse_confidence(const Metadata& metadata, size_t classes,
                                    const std::filesystem::path& path) {
  const auto found = metadata.find("confidence");
  if (found == metadata.end()) return {};
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  bool fits = json.is_array() && json.size() == classes;
  std::vector<float> confidence;
  if (fits)
    for (const auto& number : json) {
      fits = fits && (number.is_null() || (number.is_number() && number >= 0 && number <= 1));
      confidence.push_back(number.is_number() ? number.get<float>() : std::nanf(""));
    }
  check_input(fits, "{}: its metadata's 'confidence' is not a list of {} numbers from 0 to 1 or null",
              path.string(), classes);
  return confidence;
}

/// As decimals of four digits, which a reader of the file expects.
nlohmann::json confidence_json(const std::vector<float>& confidence) {
  nlohmann::json json = nlohmann::json::array();
  for (const float value : confidence)
    json.push_back(std::isnan(value) ? nlohmann::json()
                                     : nlohmann::json(std::round(double{value} * 1e4) / 1e4));
  return json;
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

/// Whether this program wrote the file, or another one that kept what this one needs.
bool has_metadata(const Metadata& metadata) {
  return metadata.contains("classes") || metadata.contains(std::string(kModel) + "model");
}

/// For a model that takes all its weights from the file, and needs no values before. A few bytes of metadata
/// can describe a model of any size; it must not have many more numbers than the file's tensors.
/// (Normalisations that are folded in the file have a few more in the model.)
Init init_for(const SafetensorsFile& file) {
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) numbers += tensor.numel();
  Init init(0);
  init.limit(2 * numbers + 1'000'000);
  init.leave_unset();
  return init;
}

/// The detector that the metadata describe, whose weights are not set.
Detector described_detector(const SafetensorsFile& file, const std::filesystem::path& path) {
  const Metadata& metadata = file.metadata;
  const ModelConfig config = config_of(metadata, path);
  Detector detector;
  detector.classes = saved_classes(metadata, path);
  detector.category_ids = parse_category_ids(metadata, detector.classes.size(), path);
  detector.confidence = parse_confidence(metadata, detector.classes.size(), path);
  if (const auto trained = metadata.find(kTrained); trained != metadata.end() && trained->second == "rpn") {
    detector.head_untrained = true;
    detector.note = fmt::format(
        "{}: trained with --mode rpn, so that it proposes regions, but its head was never trained: its "
        "detections mean nothing; `rcnn propose` writes its proposals",
        path.string());
  }
  try {
    detector.model =
        std::make_unique<FasterRcnn>(config, static_cast<int64_t>(detector.classes.size()), init_for(file));
  } catch (const InputError& error) {
    throw InputError(
        fmt::format("{}: its metadata does not describe a model: {}", path.string(), error.what()));
  }
  return detector;
}

/// Whether a file without class names has as many outputs as torchvision's detectors on COCO.
bool has_coco_outputs(const std::map<std::string, Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& entry) {
    return entry.first.ends_with("roi_heads.box_predictor.cls_score.bias") &&
           entry.second.numel() == kCocoIds + 1;
  });
}

/// The detector that the tensors of a file without metadata describe, whose weights are not set. The tensors
/// get this program's names.
Detector inferred_detector(SafetensorsFile& file, const std::filesystem::path& path, bool name_classes) {
  const NameChanges changes = to_torchvision_names(file.tensors);
  const InferredDetector inferred = infer_detector(path.string(), file.tensors, changes);
  Detector detector;
  detector.model = std::make_unique<FasterRcnn>(inferred.config, inferred.classes, init_for(file));
  std::string classes = fmt::format("{} classes", inferred.classes);
  if (name_classes && inferred.classes == kCocoIds) {
    ClassNames coco = coco_classes();
    detector.classes = std::move(coco.names);
    detector.category_ids = std::move(coco.category_ids);
    classes = "COCO's classes";
  } else if (name_classes) {
    for (int64_t i = 1; i <= inferred.classes; ++i) detector.classes.push_back(fmt::format("class {}", i));
    classes += " without names; --classes FILE names them";
  }
  detector.note = fmt::format("{}: {} with torchvision's settings and norm-eps {}, {}", path.string(),
                              inferred.config.backbone, inferred.config.norm_eps, classes);
  for (const std::string& line : changes.lines()) detector.note += "\n  " + line;
  if (!inferred.not_used.empty()) detector.note += "\n  not used: " + inferred.not_used;
  return detector;
}

}  // namespace

Metadata detector_metadata(const Detector& detector) {
  Metadata metadata{{"format", kFormat}, {"classes", nlohmann::ordered_json(detector.classes).dump()}};
  for (const auto& [key, value] : list_fields(detector.model->config, model_fields()))
    metadata[std::string(kModel) + key] = value;
  if (detector.head_untrained || detector.model->rpn_alone) metadata[kTrained] = "rpn";
  if (!detector.confidence.empty()) metadata["confidence"] = confidence_json(detector.confidence).dump();
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
  auto names = json.get<std::vector<std::string>>();
  std::set<std::string> seen;
  for (const std::string& name : names)
    check_input(!name.empty() && seen.insert(name).second,
                "{}: its metadata's 'classes' has {}; expected a different name for each class",
                path.string(),
                name.empty() ? "an empty name" : fmt::format("the name {} twice", in_quotes(name)));
  return names;
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

float confidence_of(const Detector& detector, int label) {
  const auto at = static_cast<size_t>(label - 1);
  const bool known = at < detector.confidence.size() && !std::isnan(detector.confidence[at]);
  return known ? detector.confidence[at] : kUsualConfidence;
}

void save_model(const std::filesystem::path& path, Detector& detector) {
  write_safetensors(path, save_weights(*detector.model), detector_metadata(detector));
}

Detector load_model(const std::filesystem::path& path, const std::filesystem::path& classes) {
  SafetensorsFile file = read_weights_file(path);
  drop_run(file.tensors);
  check_finite(file.tensors, path.string());
  Detector detector = has_metadata(file.metadata) ? described_detector(file, path)
                                                  : inferred_detector(file, path, classes.empty());
  const auto count = detector.model->classes - 1;
  if (!classes.empty()) detector.classes = read_class_names(classes, count);
  fit_norms(*detector.model, file.tensors, path.string());
  load_weights(*detector.model, file.tensors, path.string());
  return detector;
}

void reload_model(const std::filesystem::path& path, FasterRcnn& model) {
  SafetensorsFile file = read_safetensors(path);
  drop_run(file.tensors);
  load_weights(model, file.tensors, path.string());
}

std::optional<ModelConfig> saved_config(const std::filesystem::path& path) {
  SafetensorsFile file = read_weights_file(path);
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) return std::nullopt;
  drop_run(file.tensors);
  return described_detector(file, path).model->config;
}

WeightsReport load_weights_file(const std::filesystem::path& path, Detector& detector, bool keep_classes) {
  SafetensorsFile file = read_weights_file(path);
  drop_run(file.tensors);
  check_finite(file.tensors, path.string());
  std::vector<std::string> classes;
  if (file.metadata.contains("classes")) classes = saved_classes(file.metadata, path);
  if (classes.empty() && keep_classes && has_coco_outputs(file.tensors)) classes = coco_classes().names;
  return start_from_weights(*detector.model, detector.classes, {path.string(), file.tensors, classes},
                            keep_classes);
}

}  // namespace rcnn
