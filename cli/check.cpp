#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/settings.h"
#include "data/folder.h"
#include "eval/advice.h"
#include "eval/data_summary.h"

namespace rcnn {
namespace {

/// The settings of a model that decide how its anchors overlap the boxes.
std::vector<Field<ModelConfig>> input_fields() {
  std::vector<Field<ModelConfig>> fields;
  for (const Field<ModelConfig>& field : model_fields())
    for (const char* key : {"model", "short-side", "long-side", "anchor-sizes", "anchor-ratios"})
      if (field.key == key) fields.push_back(field);
  return fields;
}

/// The splits to check, the training split first. `trainval` is left out if there is `train`, because it
/// repeats those images.
std::vector<std::string> splits_to_check(const DataFolder& folder) {
  std::vector<std::string> splits = folder.splits;
  if (folder.has("train")) std::erase(splits, "trainval");
  if (splits.empty()) splits.emplace_back();
  std::stable_partition(splits.begin(), splits.end(), [](const auto& split) { return split == "train"; });
  return splits;
}

void check_data(const std::string& path, const Settings& settings) {
  const DataFolder folder = find_data(path);
  ModelConfig model;
  TrainConfig unused;
  const SuitedInput suited = apply_settings(settings, model, unused);
  const std::vector<int64_t> strides = level_strides(model);
  std::vector<std::string> names = splits_to_check(folder);
  std::vector<Dataset> datasets;
  for (const std::string& split : names) {
    datasets.push_back(
        read_split(folder, split, datasets.empty() ? std::vector<std::string>{} : datasets[0].classes));
    const Dataset& dataset = datasets.back();
    if (datasets.size() == 1) {
      suit_to_data(model, dataset, strides, suited);
      fmt::print("{}: images are resized to a short side of {} and a long side of at most {}\n\n",
                 model.backbone, model.short_side, model.long_side);
    }
    print_summary(summarise(dataset, split, model, strides));
    const size_t faults = dataset.faults.size();
    fmt::print("  {} fault{} in the annotations{}\n", faults, faults == 1 ? "" : "s", faults == 0 ? "" : ":");
    for (const Fault& fault : dataset.faults) fmt::print("    {}\n", fault.what);
    fmt::print("\n");
  }
  std::vector<std::pair<std::string, const Dataset*>> splits;
  for (size_t i = 0; i < names.size(); ++i)
    splits.emplace_back(names[i].empty() ? "the data" : names[i], &datasets[i]);
  fmt::print("{}", advice_text(repeated_image_advice(splits)));
}

}  // namespace

void add_check(CLI::App& program) {
  struct Options {
    std::string data;
    SettingFlags flags;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand(
      "check", "Describe labelled images, how well a model's anchors fit them, and their faults");
  app->footer(
      "Prints for every split what `rcnn train` prints before its first step, and every faulty annotation.\n"
      "Unless given, short side and anchor sizes are those that `rcnn train` would choose for the boxes.");
  app->add_option("data", options->data, "folder of labelled images, or a COCO JSON file")
      ->required()
      ->type_name("DIR");
  static const std::vector<Field<ModelConfig>> fields = input_fields();
  options->flags.add(*app, std::span<const Field<ModelConfig>>(fields), model_config(model_names().front()),
                     "Model");
  app->callback([options] { check_data(options->data, options->flags.given()); });
}

}  // namespace rcnn
