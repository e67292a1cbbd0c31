#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/settings.h"
#include "core/error.h"
#include "core/text.h"
#include "data/decode_all.h"
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

constexpr size_t kMaxDecoded = 5000;  // images that are decoded without being asked to

struct Options {
  std::string data;
  bool deep = false, no_deep = false;
  DataOptions reading;
  SettingFlags flags;
};

/// A split that could be read.
struct Part {
  std::string name;
  Dataset data;
};

/// Reads the splits. Those that cannot be read are reported and counted.
std::vector<Part> read_parts(const DataFolder& folder, size_t& unreadable, std::string& first_fault) {
  std::vector<Part> parts;
  for (const std::string& split : splits_to_check(folder)) try {
      parts.push_back(
          {split,
           read_split(folder, split, parts.empty() ? std::vector<std::string>{} : parts[0].data.classes)});
    } catch (const InputError& error) {
      if (unreadable++ == 0) first_fault = error.what();
      if (folder.splits.size() > 1) fmt::print("{}: cannot be used: {}\n\n", split, printable(error.what()));
    }
  return parts;
}

/// Decodes all images, unless there are too many of them.
void decode(std::vector<Part>& parts, const Options& options) {
  size_t images = 0;
  for (const Part& part : parts) images += part.data.samples.size();
  const bool too_many = images > kMaxDecoded && !options.deep;
  if (too_many) fmt::print("Only the headers of the {} images are read; --deep decodes them all\n\n", images);
  if (too_many || options.no_deep) return;
  for (Part& part : parts) report_undecodable(part.data);
}

void print_part(const Part& part, const ModelConfig& model, const std::vector<int64_t>& strides) {
  print_summary(summarise(part.data, part.name, model, strides));
  const std::vector<Fault>& faults = part.data.faults;
  fmt::print("  {} fault{} in the annotations and images{}\n", faults.size(), faults.size() == 1 ? "" : "s",
             faults.empty() ? "" : ":");
  for (const Fault& fault : faults) fmt::print("    {}\n", printable(fault.what));
  fmt::print("\n");
}

void check_data(const Options& options) {
  const DataFolder folder = options.reading.find(options.data);
  ModelConfig model;
  TrainConfig unused;
  const SuitedInput suited = apply_settings(options.flags.given(), model, unused);
  const std::vector<int64_t> strides = level_strides(model);
  for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
  size_t unreadable = 0;
  std::string first_fault;
  std::vector<Part> parts = read_parts(folder, unreadable, first_fault);
  check_input(!parts.empty(), "{}", first_fault);
  decode(parts, options);
  suit_to_data(model, parts[0].data, strides, suited);
  fmt::print("{}: images are resized to a short side of {} and a long side of at most {}\n\n", model.backbone,
             model.short_side, model.long_side);
  std::vector<std::pair<std::string, const Dataset*>> splits;
  for (const Part& part : parts) {
    print_part(part, model, strides);
    splits.emplace_back(part.name.empty() ? "the data" : part.name, &part.data);
  }
  fmt::print("{}", advice_text(repeated_image_advice(splits)));
  check_input(unreadable == 0, "{} of {} splits cannot be used; the first fault: {}", unreadable,
              parts.size() + unreadable, first_fault);
}

}  // namespace

void add_check(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand(
      "check", "Describe labelled images, how well a model's anchors fit them, and their faults");
  app->footer(
      "Describes every split as `rcnn train` does before its first step, and lists every fault in\n"
      "annotations and images.\n"
      "Unless given, short side and anchor sizes are those that `rcnn train` would choose for the boxes.");
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  CLI::Option* deep = app->add_flag(
      "--deep", options->deep, "decode every image, not only its header [if there are at most 5000 images]");
  app->add_flag("--no-deep", options->no_deep, "read the headers of images only")->excludes(deep);
  options->reading.add(*app);
  static const std::vector<Field<ModelConfig>> fields = input_fields();
  options->flags.add(*app, std::span<const Field<ModelConfig>>(fields), model_config(model_names().front()),
                     "Model");
  app->callback([options] { check_data(*options); });
}

}  // namespace rcnn
