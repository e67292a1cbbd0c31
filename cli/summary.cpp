#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/settings.h"
#include "core/files/tensor_file.h"
#include "core/files/weights_file.h"
#include "core/text.h"
#include "data/class_names.h"
#include "models/detector.h"
#include "models/inferred.h"
#include "models/summary.h"

namespace rcnn {
namespace {

/// A name from a file in a form that is safe to print on a terminal.
std::string printable(const std::string& name) {
  const std::string quoted = in_quotes(name);
  return quoted.substr(1, quoted.size() - 2);
}

/// "1 tensor", "2 tensors".
std::string count_of(int64_t count, const char* what) {
  return fmt::format("{} {}{}", with_commas(count), what, count == 1 ? "" : "s");
}

std::string classes_of(int64_t count) { return fmt::format("{} class{}", count, count == 1 ? "" : "es"); }

/// "nano-fpn for 2 classes: cat, dog", of a detector; the backbone of a classifier; nothing of other weights.
std::string describe_model(const std::string& path, const SafetensorsFile& file) {
  const auto model = file.metadata.find("model.model");
  if (model != file.metadata.end() && file.metadata.contains("classes")) {
    const std::vector<std::string> classes = saved_classes(file.metadata, path);
    return fmt::format("{} for {}: {}", rcnn::printable(model->second), classes_of(std::ssize(classes)),
                       rcnn::printable(list_names(classes)));
  }
  try {
    std::map<std::string, Tensor> tensors = file.tensors;
    const NameChanges changes = to_torchvision_names(tensors);
    const InferredDetector inferred = infer_detector(path, tensors, changes);
    return fmt::format("{} for {}, whose names the file does not have", inferred.config.backbone,
                       classes_of(inferred.classes));
  } catch (const Error&) {  // no detector
  }
  const std::string backbone = guess_model(file.tensors);
  return backbone.empty() ? "" : "weights for the backbone of " + backbone;
}

void list_weights(const std::string& path) {
  struct Row {
    std::string name, type, shape, elements;
  };
  struct Sum {
    int64_t tensors = 0, elements = 0, bytes = 0;
    void add(int64_t more, int64_t size) {
      ++tensors;
      elements += more;
      bytes += more * size;
    }
    std::string text() const {
      return fmt::format("{}, {}, {}", count_of(tensors, "tensor"), count_of(elements, "element"),
                         count_of(bytes, "byte"));
    }
  };
  const SafetensorsFile file = read_weights_file(path);
  std::vector<Row> rows = {{"tensor", "type", "shape", "elements"}};
  Sum total;
  std::map<std::string, Sum> by_type;
  for (const auto& [name, tensor] : file.tensors) {
    const std::string& type = file.types.at(name);  // that of the file: F16 has become f32 in memory
    const int64_t size = find_file_type(type)->bytes;
    rows.push_back({printable(name), type, tensor.shape().str(), with_commas(tensor.numel())});
    total.add(tensor.numel(), size);
    by_type[type].add(tensor.numel(), size);
  }
  size_t widths[4] = {};
  for (const Row& row : rows) {
    size_t column = 0;
    for (const std::string* cell : {&row.name, &row.type, &row.shape, &row.elements}) {
      widths[column] = std::max(widths[column], cell->size());
      ++column;
    }
  }
  if (!file.tensors.empty())
    for (const Row& row : rows)
      fmt::print("{:{}}  {:{}}  {:{}}  {:>{}}\n", row.name, widths[0], row.type, widths[1], row.shape,
                 widths[2], row.elements, widths[3]);
  fmt::print("{}{}: {}\n", file.tensors.empty() ? "" : "\n", path, total.text());
  if (by_type.size() > 1)
    for (const auto& [type, sum] : by_type) fmt::print("  {}: {}\n", type, sum.text());
  if (const std::string model = describe_model(path, file); !model.empty()) fmt::print("  {}\n", model);
}

struct SummaryOptions {
  std::string model, weights;
  int64_t height = 800, width = 1344, classes = 90;
  SettingFlags flags;
};

void list_model(const SummaryOptions& options) {
  Settings settings = options.flags.given();
  settings.emplace_back("model", options.model);
  ModelConfig config;
  TrainConfig unused;
  apply_settings(settings, config, unused);
  FasterRcnn model(config, options.classes, Init(1));
  fmt::print("{} for {}, one image of {} x {}, {} RoIs\n\n", config.backbone, classes_of(options.classes),
             options.height, options.width, config.rpn_post_nms_top_n_test);
  fmt::print("{}\nSettings of the profile {}:\n",
             describe_layers(model, list_layers(model, options.height, options.width)), config.profile);
  for (const auto& [key, value] : list_fields(config, model_fields()))
    if (key != "model" && key != "profile") fmt::print("  {} = {}\n", key, value);
}

}  // namespace

void add_summary(CLI::App& program) {
  auto options = std::make_shared<SummaryOptions>();
  CLI::App* app =
      program.add_subcommand("summary", "List the layers of a model, or the tensors in a file of weights");
  app->set_help_all_flag("--help-all", "show every setting of a model with its default");
  app->footer(
      "Types are those in the file, under safetensors' names. Reading a .pth runs no code from it.\n"
      "Example: rcnn summary resnet50-fpn");
  CLI::Option* model = app->add_option("model", options->model, "name of a model")->type_name("MODEL");
  CLI::Option* weights =
      app->add_option("--weights", options->weights, "safetensors file, or PyTorch's .pth or .pt")
          ->type_name("FILE")
          ->excludes(model);
  app->add_option("--height", options->height,
                  "height of the image after resizing and padding, in pixels [800]")
      ->excludes(weights)
      ->check(CLI::Range(16, 8192))
      ->type_name("NUMBER");
  app->add_option("--width", options->width,
                  "width of the image after resizing and padding, in pixels [1344]")
      ->excludes(weights)
      ->check(CLI::Range(16, 8192))
      ->type_name("NUMBER");
  app->add_option("--classes", options->classes, "number of classes of objects [90]")
      ->excludes(weights)
      ->check(CLI::Range(1, 100000))
      ->type_name("NUMBER");
  static std::vector<Field<ModelConfig>> fields(model_fields().begin(), model_fields().end());
  std::erase_if(fields, [](const auto& field) { return field.key == "model"; });
  options->flags.add(*app, std::span<const Field<ModelConfig>>(fields), model_config(model_names().front()),
                     std::string(kMoreOptions) + "model");
  app->callback([options] {
    if (!options->weights.empty()) {
      const Settings given = options->flags.given();
      check_input(given.empty(), "--{}: with --weights the file is listed as it is, and no model is built",
                  given.empty() ? "" : given.front().first);
      return list_weights(options->weights);
    }
    check_input(!options->model.empty(), "expected the name of a model or --weights FILE; models: {}",
                fmt::join(model_names(), ", "));
    list_model(*options);
  });
}

}  // namespace rcnn
