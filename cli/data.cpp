// `rcnn data`: labelled images as files.
#include <fmt/format.h>

#include <map>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "core/text.h"
#include "data/convert.h"

namespace rcnn {
namespace {

std::string counted(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void print_note(const char* what, size_t count) {
  if (count > 0) fmt::print("  {}: {}\n", what, count);
}

void print_converted(const Converted& converted, const std::string& out, DataForm form) {
  bool has_val = false;
  for (const DataPart& part : converted.parts) {
    has_val = has_val || part.split == "val";
    fmt::print("{}: {}, {}\n", part.split.empty() ? "the data" : part.split,
               counted(part.data.samples.size(), "image"), counted(count_boxes(part.data), "object"));
    print_note("faults of the data, which `rcnn check` lists", part.data.faults.size());
  }
  print_note("crowds and difficult objects, left out: YOLO has no place for them",
             converted.ignored_left_out);
  print_note("boxes of one pixel or less, left out: VOC has no place for them", converted.small_left_out);
  print_note("crowds, written as difficult objects: VOC has no place for crowds", converted.crowds);
  print_note("images with a new name, because another has theirs or lists cannot hold it", converted.renamed);
  if (form == DataForm::yolo && !has_val)
    fmt::print("  there is no split val, which Ultralytics needs for training\n");
  fmt::print("{} was read back, with the same boxes\n", out);
}

void add_convert(CLI::App& data) {
  struct Options {
    std::string data, out, form;
    bool link = false;
    DataOptions reading;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = data.add_subcommand("convert", "Write labelled images as Pascal VOC, COCO or YOLO");
  app->footer(
      "Reads whatever `rcnn check` reads. Splits and classes are kept, and the result is read back and "
      "compared.\n"
      "The folder must be new: nothing is ever written over other files.");
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  static const std::map<std::string, DataForm> kForms = {
      {"coco", DataForm::coco}, {"voc", DataForm::voc}, {"yolo", DataForm::yolo}};
  app->add_option("--to", options->form, "voc, coco or yolo")
      ->required()
      ->check(CLI::IsMember({"coco", "voc", "yolo"}).description(""))
      ->type_name("FORM");
  app->add_option("--out", options->out, "new folder to write")->required()->type_name("DIR");
  app->add_flag("--link", options->link, "make hard links to the images instead of copies");
  options->reading.add(*app);
  app->callback([options] {
    const DataFolder folder = options->reading.find(options->data);
    for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
    const DataForm form = kForms.at(options->form);
    print_converted(convert_data(folder, options->out, {form, options->link}), options->out, form);
  });
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* app = program.add_subcommand("data", "Convert labelled images to another form");
  app->require_subcommand(1);
  add_convert(*app);
}

}  // namespace rcnn
