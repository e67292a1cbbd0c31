// `rcnn data`: labelled images as files. `convert` and `merge`, and what the commands have in common.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "cli/commands.h"
#include "cli/data_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/decode_all.h"
#include "data/merge.h"

namespace rcnn {
namespace {

const std::map<std::string, DataForm>& forms() {
  static const std::map<std::string, DataForm> kForms = {
      {"coco", DataForm::coco}, {"voc", DataForm::voc}, {"yolo", DataForm::yolo}};
  return kForms;
}

std::string name_of(const DataPart& part) { return part.split.empty() ? "the data" : printable(part.split); }

std::string count_classes(size_t count) { return fmt::format("{} class{}", count, count == 1 ? "" : "es"); }

/// Names for one line, those with a comma in quotes.
std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names)
    shown.push_back(name.find(',') == std::string::npos ? printable(name) : "'" + printable(name) + "'");
  return fmt::format("{}", fmt::join(shown, ", "));
}

void print_converted(const Converted& converted, const std::string& out, DataForm form) {
  bool has_val = false;
  for (const DataPart& part : converted.parts) {
    has_val = has_val || part.split == "val";
    fmt::print("{}: {}, {}\n", name_of(part), counted(part.data.samples.size(), "image"),
               counted(count_boxes(part.data), "object"));
  }
  print_note("crowds and difficult objects, left out: YOLO has no place for them",
             converted.ignored_left_out);
  print_note("boxes of one pixel or less, left out: VOC has no place for them", converted.small_left_out);
  print_note("crowds, written as difficult objects: VOC has no place for crowds", converted.crowds);
  if (!converted.classes_left_out.empty())
    fmt::print("  {} without an object, left out: VOC has no list of classes: {}\n",
               count_classes(converted.classes_left_out.size()), listed(converted.classes_left_out));
  print_note("images with a new name, because another has theirs or lists cannot hold it", converted.renamed);
  const std::string& first = converted.parts.front().split;
  if (form == DataForm::coco && converted.parts.size() == 1 && !first.empty() && usual_split(first).empty())
    fmt::print("  COCO has no place for the name of a single split that is not train, val or test\n");
  if (form == DataForm::yolo && !has_val)
    fmt::print("  there is no split val, which Ultralytics needs for training\n");
  fmt::print("{} was read back, with the same boxes\n", printable(out));
}

struct MergeOptions {
  std::vector<std::string> data;
  std::string default_split;
  DataOptions reading;
  WritingOptions writing;
};

void merge(const MergeOptions& options) {
  std::vector<DataFolder> folders;
  for (const std::string& path : options.data) folders.push_back(find_and_describe(options.reading, path));
  check_input(folders.size() >= 2, "merge joins data sets, but only {} is given; expected two or more.",
              options.data.front());
  check_new_folder(options.writing.out, folders);
  std::vector<MergeSource> sources;
  for (size_t i = 0; i < folders.size(); ++i) {
    sources.push_back({options.data[i], read_and_report(folders[i])});
    const Dataset pool = pool_parts(sources.back().parts);
    fmt::print("{}: {}, {}, {}\n", printable(options.data[i]), counted(pool.samples.size(), "image"),
               counted(count_boxes(pool), "object"), count_classes(pool.classes.size()));
  }
  Merged merged = merge_parts(std::move(sources), options.default_split);
  const std::vector<std::string>& classes = merged.parts.front().data.classes;
  fmt::print("merged: {}: {}\n", count_classes(classes.size()), listed(classes));
  for (const std::vector<std::string>& names : merged.similar_classes)
    fmt::print("  classes that look the same and stay separate: {}\n", listed(names));
  print_note("images of an earlier data set, byte for byte, written once with the objects of both",
             merged.joined);
  print_note("  of these in another split of the earlier data set, where they stay", merged.moved);
  print_note("  objects of them that were there before, written once", merged.repeated_objects);
  options.writing.write(std::move(merged.parts));
}

}  // namespace

std::string counted(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void print_note(const char* what, size_t count) {
  if (count > 0) fmt::print("  {}: {}\n", what, count);
}

void print_missing_classes(std::span<const DataPart> parts) {
  std::vector<std::vector<bool>> has;
  for (const DataPart& part : parts) {
    has.emplace_back(part.data.classes.size());
    for (const Sample& sample : part.data.samples)
      for (const Object& object : sample.objects)
        if (!is_ignored(object)) has.back().at(static_cast<size_t>(object.label - 1)) = true;
  }
  for (size_t p = 0; p < parts.size(); ++p) {
    std::vector<std::string> missing;
    for (size_t c = 0; c < has[p].size(); ++c)
      if (!has[p][c] && std::any_of(has.begin(), has.end(), [&](const auto& other) { return other[c]; }))
        missing.push_back(parts[p].data.classes[c]);
    if (!missing.empty())
      fmt::print("  {} has no object of {}: {}\n", name_of(parts[p]),
                 missing.size() == 1 ? "one class" : fmt::format("{} classes", missing.size()),
                 listed(missing));
  }
}

DataFolder find_and_describe(const DataOptions& options, const std::string& path) {
  DataFolder folder = options.find(path);
  for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
  return folder;
}

std::vector<DataPart> read_and_report(const DataFolder& folder, Decode decode) {
  std::vector<DataPart> parts = read_parts(folder);
  size_t faults = 0, images = 0, undecodable = 0;
  for (const DataPart& part : parts) images += part.data.samples.size();
  if (decode == Decode::yes && images > kMaxDecoded)
    fmt::print("The {} images are not decoded; `rcnn check --deep` finds those that cannot be\n", images);
  if (decode == Decode::yes && images <= kMaxDecoded)
    for (DataPart& part : parts) {
      const size_t before = part.data.faults.size();
      report_undecodable(part.data);
      undecodable += part.data.faults.size() - before;
    }
  for (const DataPart& part : parts) faults += count_faults(part.data.faults);
  if (faults > 0)
    fmt::print("{}: {} in the data, which `rcnn check` lists\n", printable(folder.root.string()),
               counted(faults, "fault"));
  print_note("images that cannot be decoded, and are written as they are", undecodable);
  return parts;
}

void check_no_link(std::string_view option, const std::filesystem::path& picture) {
  std::error_code none;
  check_input(
      !std::filesystem::is_symlink(picture, none),
      "{} {}: it is a symbolic link, and the file that it leads to would be replaced; remove the link, "
      "or give another folder",
      option, picture.string());
}

void WritingOptions::add(CLI::App& app) {
  app.add_option("--to", form, "form to write: voc, coco or yolo")
      ->required()
      ->check(CLI::IsMember({"coco", "voc", "yolo"}).description(""))
      ->type_name("FORM");
  app.add_option("--out", out, "new folder to write")->required()->type_name("DIR");
  app.add_flag("--link", link, "make hard links to the images instead of copies");
}

void WritingOptions::write(std::vector<DataPart> parts) const {
  const DataForm to = forms().at(form);
  print_converted(write_parts(std::move(parts), out, {to, link}), out, to);
}

void add_data_convert(CLI::App& data) {
  struct Options {
    std::string data;
    DataOptions reading;
    WritingOptions writing;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = data.add_subcommand("convert", "Write labelled images as Pascal VOC, COCO or YOLO");
  app->footer(std::string("Splits and classes are kept.\n") + kWritingFooter);
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  options->writing.add(*app);
  options->reading.add(*app);
  app->callback([options] {
    const DataFolder folder = find_and_describe(options->reading, options->data);
    check_new_folder(options->writing.out, {&folder, 1});
    options->writing.write(read_and_report(folder));
  });
}

void add_data_merge(CLI::App& data) {
  auto options = std::make_shared<MergeOptions>();
  CLI::App* app = data.add_subcommand("merge", "Join data sets into one");
  app->footer(
      std::string(
          "Classes with the same name become one, and splits keep their names. Of images with the same\n"
          "name, the second becomes name_2. An image that two data sets have, byte for byte, is written\n"
          "once, in the split of the first, with the objects of both.\n") +
      kWritingFooter);
  app->add_option("data", options->data, "folders of labelled images, or files of annotations")
      ->required()
      ->type_name("DIR");
  options->writing.add(*app);
  app->add_option("--default-split", options->default_split,
                  "split for the images of data without splits, if other data has some")
      ->type_name("TEXT");
  options->reading.add(*app);
  app->callback([options] { merge(*options); });
}

void add_data(CLI::App& program) {
  CLI::App* app = program.add_subcommand("data", "Convert, divide, merge, filter and draw labelled images");
  app->require_subcommand(1);
  add_data_convert(*app);
  add_data_split(*app);
  add_data_merge(*app);
  add_data_filter(*app);
  add_data_draw(*app);
}

}  // namespace rcnn
