// `rcnn data split` and `rcnn data filter`.
#include <fmt/format.h>

#include <map>

#include "cli/commands.h"
#include "cli/data_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/divide.h"
#include "data/filter.h"
#include "data/names_left_out.h"

namespace rcnn {
namespace {

struct SplitOptions {
  std::string data, parts = "train=.8,val=.1,test=.1", split, together = "same-images";
  uint64_t seed = 1;
  DataOptions reading;
  WritingOptions writing;
};

/// Takes the split to divide, or all if no name is given, out of the parts, and leaves the others in them.
Dataset take_to_divide(std::vector<DataPart>& parts, const std::string& name,
                       const std::vector<SplitShare>& shares) {
  if (name.empty()) {
    if (parts.size() > 1) {
      std::vector<std::string> splits;
      for (const DataPart& part : parts) splits.push_back(part.split);
      fmt::print("the splits of the data, {}, are put together and divided anew\n",
                 printable(fmt::format("{}", fmt::join(splits, ", "))));
    }
    Dataset pool = pool_parts(parts);
    parts.clear();
    return pool;
  }
  const std::string split = usual_split(name).empty() ? name : usual_split(name);
  Dataset taken;
  bool found = false;
  std::vector<DataPart> others;
  for (DataPart& part : parts) {
    const bool wanted = part.split == split;
    found = found || wanted;
    if (wanted)
      taken = std::move(part.data);
    else
      others.push_back(std::move(part));
  }
  check_input(found, "The data has no split '{}' to divide.", name);
  for (const DataPart& part : others)
    for (const SplitShare& share : shares)
      check_input(share.split != part.split,
                  "--parts names the split {}, which the data has beside {} and which stays as it is; give "
                  "another name, or leave out --split to divide all images.",
                  share.split, name);
  parts = std::move(others);
  return taken;
}

/// Says which images have a copy, byte for byte, in a split that stays as it is: a model that is trained on
/// one of the two and tested on the other has seen its test images.
void print_copies_elsewhere(const Dataset& data, const std::vector<DataPart>& others) {
  for (const DataPart& other : others) {
    std::vector<std::filesystem::path> files;
    for (const Sample& sample : other.data.samples) files.push_back(sample.image);
    for (const Sample& sample : data.samples) files.push_back(sample.image);
    const std::vector<size_t> first = find_same_files(files);
    NamesLeftOut copies;
    for (size_t i = other.data.samples.size(); i < files.size(); ++i)
      if (first[i] < other.data.samples.size()) copies.add(files[i].filename().string());
    if (copies.count > 0)
      fmt::print("  {} also, byte for byte, in the split {}, which stays as it is\n", copies.text("image"),
                 printable(other.split));
  }
}

void split(const SplitOptions& options) {
  static const std::map<std::string, Together> kTogether = {{"same-images", Together::same_images},
                                                            {"folders", Together::folders},
                                                            {"sequences", Together::sequences}};
  const std::vector<SplitShare> shares = parse_shares(options.parts);
  const DataFolder folder = find_and_describe(options.reading, options.data);
  check_new_folder(options.writing.out, {&folder, 1});
  std::vector<DataPart> parts = read_and_report(folder);
  const Dataset data = take_to_divide(parts, options.split, shares);
  print_copies_elsewhere(data, parts);
  Division division = divide(data, shares, options.seed, kTogether.at(options.together));
  print_note("images that are copies of another one, and go with it", division.copies);
  print_note("images that Roboflow made of a photograph with others, and go with them", division.versions);
  if (options.together != "same-images") print_note("groups of images that stay together", division.groups);
  print_missing_classes(division.parts);
  for (DataPart& part : parts) division.parts.push_back(std::move(part));
  options.writing.write(std::move(division.parts));
}

struct Filter {
  std::string data;
  FilterOptions keep;
  DataOptions reading;
  WritingOptions writing;
};

struct Totals {
  size_t images = 0, objects = 0;
};

Totals count_all(const std::vector<DataPart>& parts) {
  Totals totals;
  for (const DataPart& part : parts) {
    totals.images += part.data.samples.size();
    totals.objects += count_boxes(part.data);
  }
  return totals;
}

void filter(const Filter& options) {
  for (const auto& [name, value] :
       {std::pair("--min-side", options.keep.min_side), std::pair("--min-area", options.keep.min_area)})
    check_input(value >= 0, "{} is {}; expected 0 or more.", name, value);
  const DataFolder folder = find_and_describe(options.reading, options.data);
  check_new_folder(options.writing.out, {&folder, 1});
  std::vector<DataPart> parts = read_and_report(folder);
  const Totals all = count_all(parts);
  Filtered filtered = filter_parts(std::move(parts), options.keep);
  const Totals kept = count_all(filtered.parts);
  fmt::print("kept {} of {}, {} of {}\n", kept.images, counted(all.images, "image"), kept.objects,
             counted(all.objects, "object"));
  print_note("images of other splits, left out", all.images - filtered.images);
  print_note("images without objects, left out", filtered.images - kept.images);
  print_note("objects of other classes, left out", filtered.other_classes);
  print_note("crowds and difficult objects, left out", filtered.ignored);
  print_note("small objects, left out", filtered.small);
  for (const std::string& split : filtered.emptied)
    if (!split.empty()) fmt::print("  no image of the split {} is left\n", printable(split));
  options.writing.write(std::move(filtered.parts));
}

}  // namespace

void add_data_split(CLI::App& data) {
  auto options = std::make_shared<SplitOptions>();
  CLI::App* app = data.add_subcommand("split", "Divide labelled images into splits");
  app->footer(
      std::string(
          "Each class is in every split in proportion, as far as its images allow. Copies of an image, and\n"
          "the versions of a photograph that Roboflow exports, go to one split. The same seed gives the\n"
          "same splits, whatever the order of the files.\n") +
      kWritingFooter);
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  options->writing.add(*app);
  app->add_option("--parts", options->parts,
                  "splits and their shares of the images, which sum to 1 or 100 [train=.8,val=.1,test=.1]")
      ->type_name("TEXT");
  app->add_option("--seed", options->seed, "random seed [1]")->check(not_negative());
  app->add_option("--split", options->split,
                  "divide this split only, and keep the others as they are [divide all images anew]")
      ->type_name("TEXT");
  app->add_option(
         "--together", options->together,
         "what goes to one split: same-images only, or also the images of one folder (folders), or "
         "images of a folder whose names differ in the number at their end (sequences) [same-images]")
      ->check(CLI::IsMember({"same-images", "folders", "sequences"}).description(""))
      ->type_name("WORD");
  options->reading.add(*app);
  app->callback([options] { split(*options); });
}

void add_data_filter(CLI::App& data) {
  auto options = std::make_shared<Filter>();
  CLI::App* app = data.add_subcommand("filter", "Keep some of the classes, objects, images or splits");
  app->footer(
      std::string("An object that is left out of an image that is kept counts as background there.\n") +
      kWritingFooter);
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  options->writing.add(*app);
  FilterOptions& keep = options->keep;
  CLI::Option* classes =
      app->add_option("--classes", keep.classes, "classes to keep, separated by commas [all]")
          ->allow_extra_args(false)
          ->type_name("NAMES");
  app->add_option("--drop-classes", keep.drop_classes, "classes to leave out, separated by commas")
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->excludes(classes);
  app->add_option("--min-side", keep.min_side, "leave out objects whose box has a shorter side, in pixels");
  app->add_option("--min-area", keep.min_area, "leave out objects whose box is smaller, in square pixels");
  app->add_flag("--drop-ignored", keep.drop_ignored, "leave out crowds and difficult objects");
  app->add_flag("--images-with-objects", keep.images_with_objects,
                "leave out images without objects, or of which none is left");
  app->add_option("--split", keep.splits, "splits to keep, separated by commas [all]")
      ->allow_extra_args(false)
      ->type_name("NAMES");
  options->reading.add(*app);
  app->callback([options] { filter(*options); });
}

}  // namespace rcnn
