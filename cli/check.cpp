#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "cli/commands.h"
#include "cli/data_commands.h"
#include "cli/data_options.h"
#include "cli/settings.h"
#include "core/error.h"
#include "core/files/output.h"
#include "core/text.h"
#include "data/convert.h"
#include "data/decode_all.h"
#include "data/faults.h"
#include "data/folder.h"
#include "data/frame_picture.h"
#include "eval/advice.h"
#include "eval/data_summary.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

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

struct Options {
  std::string data, out;
  bool deep = false, no_deep = false, all = false, strict = false, force = false;
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
      if (folder.splits.size() > 1)
        fmt::print("{}: cannot be used: {}\n\n", printable(split), printable(error.what()));
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

void print_part(const Part& part, const ModelConfig& model, const std::vector<int64_t>& strides, bool all) {
  const bool evaluates = part.name == "val" || part.name == "test";
  print_summary((evaluates ? summarise_for_evaluation : summarise)(part.data, part.name, model, strides));
  fmt::print("{}\n", list_faults(part.data.faults, {"  ", "in the annotations and images", all, true}));
}

/// The images of a split whose boxes are taken as those of the image as it is seen because nothing tells the
/// frame, in both readings: (seen, stored).
std::vector<std::pair<Sample, Sample>> read_both_frames(DataFolder folder, const Part& part) {
  std::set<fs::path> guessed;
  for (const Sample& sample : part.data.samples)
    if (sample.frame_is_guessed) guessed.insert(sample.image);
  if (guessed.empty()) return {};
  const auto read = [&](ExifBoxes frame) {
    folder.options.exif_boxes = frame;
    return read_split(folder, part.name, part.data.classes).samples;
  };
  std::map<fs::path, Sample> stored;
  for (Sample& sample : read(ExifBoxes::stored)) stored.emplace(sample.image, std::move(sample));
  std::vector<std::pair<Sample, Sample>> both;
  for (Sample& sample : read(ExifBoxes::seen))
    if (const auto other = stored.find(sample.image);
        guessed.contains(sample.image) && other != stored.end() && frames_differ(sample, other->second))
      both.emplace_back(std::move(sample), other->second);
  return both;
}

/// A picture to draw.
struct Drawing {
  fs::path path;
  Sample seen, stored;
  const std::vector<std::string>& classes;
};

/// The pictures of the first few images of each split.
std::vector<Drawing> plan_drawings(const DataFolder& folder, const std::vector<Part>& parts,
                                   const fs::path& out) {
  constexpr size_t kMaxPictures = 10;  // of a split
  std::vector<Drawing> drawings;
  for (const Part& part : parts) {
    std::vector<std::pair<Sample, Sample>> both = read_both_frames(folder, part);
    if (both.size() > kMaxPictures)
      fmt::print("{} images have boxes that may be in either frame; the first {} are drawn\n", both.size(),
                 kMaxPictures);
    for (size_t i = 0; i < std::min(both.size(), kMaxPictures); ++i)
      drawings.push_back(
          {out / fmt::format("{}{}exif-{}.jpg", part.name, part.name.empty() ? "" : "-", i + 1),
           std::move(both[i].first), std::move(both[i].second), part.data.classes});
  }
  return drawings;
}

/// Draws the images of which nothing tells the frame of their boxes.
void draw_frames(const DataFolder& folder, const std::vector<Part>& parts, const Options& options) {
  const std::vector<Drawing> drawings = plan_drawings(folder, parts, options.out);
  if (drawings.empty()) {
    fmt::print("nothing is drawn into {}: no EXIF entry leaves open where boxes belong\n",
               printable(options.out));
    return;
  }
  std::error_code error;
  fs::create_directories(options.out, error);
  check_input(!error, "--out {}: cannot create the folder: {}", options.out, error.message());
  OutputCheck outputs(options.force);
  outputs.reads(options.data);
  for (const Part& part : parts)
    for (const Sample& sample : part.data.samples) outputs.reads(sample.image);
  for (const Drawing& drawing : drawings) {
    check_no_link("--out", drawing.path);
    outputs.writes("--out", drawing.path);
  }
  for (const Drawing& drawing : drawings) {
    Image picture;
    try {
      picture = draw_both_frames(drawing.seen, drawing.stored, drawing.classes);
    } catch (const InputError& unreadable) {
      fmt::print("{} is not drawn: {}\n", printable(drawing.path.string()), printable(unreadable.what()));
      continue;
    }
    write_jpeg(drawing.path, picture);
    fmt::print("{} shows {} with --exif-boxes seen and with --exif-boxes stored\n",
               printable(drawing.path.string()), printable(drawing.seen.image.string()));
  }
}

void check_data(const Options& options) {
  const DataFolder folder = options.reading.find(options.data);
  if (!options.out.empty()) check_outside(options.out, folder);
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
  size_t faults = 0;
  std::vector<std::pair<std::string, const Dataset*>> splits;
  for (const Part& part : parts) {
    print_part(part, model, strides, options.all);
    faults += count_faults(part.data.faults);
    splits.emplace_back(part.name.empty() ? "the data" : part.name, &part.data);
  }
  Sentences repeated = repeated_image_advice(splits);
  if (!repeated.empty() && folder.splits.empty())
    repeated.back().insert(repeated.back().size() - 1,
                           "; the random split of `rcnn train` keeps them together");
  if (folder.has("train") && !folder.has("val") && !folder.has("test"))
    repeated.push_back(no_evaluation_advice());
  fmt::print("{}", advice_text(repeated));
  if (!options.out.empty()) draw_frames(folder, parts, options);
  check_input(unreadable == 0, "{} of {} splits cannot be used; the first fault: {}", unreadable,
              parts.size() + unreadable, first_fault);
  check_input(!options.strict || faults == 0, "--strict: {} fault{} in {}", faults, faults == 1 ? "" : "s",
              options.data);
}

}  // namespace

void add_check(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand(
      "check", "Describe labelled images, how well a model's anchors fit them, and their faults");
  app->footer(
      "Describes every split as `rcnn train` does before its first step, and lists the faults in\n"
      "annotations and images.\n"
      "Unless given, short side and anchor sizes are those that `rcnn train` would choose for the boxes.");
  CLI::Option* data =
      app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
          ->type_name("PATH");
  app->add_option("--data", options->data, "the same, as for the other commands")
      ->type_name("PATH")
      ->excludes(data);
  CLI::Option* deep = app->add_flag(
      "--deep", options->deep, "decode every image, not only its header [if there are at most 5000 images]");
  app->add_flag("--no-deep", options->no_deep, "read the headers of images only")->excludes(deep);
  app->add_flag("--all", options->all, "list every fault, not only the first three of each kind");
  app->add_flag("--strict", options->strict, "exit with status 2 if there is any fault");
  app->add_option("--out", options->out,
                  "draw the images whose EXIF entry leaves open where their boxes belong into this folder, "
                  "with both readings")
      ->type_name("DIR");
  add_force(*app, options->force);
  options->reading.add(*app);
  static const std::vector<Field<ModelConfig>> fields = input_fields();
  options->flags.add(*app, std::span<const Field<ModelConfig>>(fields), model_config(model_names().front()),
                     "Model");
  app->callback([options] {
    check_input(!options->data.empty(),
                "data is required: expected a folder of labelled images, or a file of annotations");
    check_data(*options);
  });
}

}  // namespace rcnn
