// `rcnn data draw`: pictures of labelled images, to look at the labels.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "cli/commands.h"
#include "cli/data_commands.h"
#include "core/error.h"
#include "core/files/output.h"
#include "core/pipeline.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/draw.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string data, split, out, pictures = "jpeg";
  size_t count = 20;
  int workers = 2;
  bool force = false;
  DataOptions reading;
};

/// An image to draw, and the picture that shows it.
struct Drawing {
  const Sample* sample;
  const std::vector<std::string>* classes;
  fs::path picture;
};

/// An image with its objects: dashed, with a word, if they are neither trained on nor counted.
void draw_objects(Image& image, const Sample& sample, const std::vector<std::string>& classes) {
  std::vector<DrawnBox> boxes;
  for (const Object& object : sample.objects) {
    std::string text = classes.at(static_cast<size_t>(object.label - 1));
    if (object.crowd) text += " (crowd)";
    if (object.difficult) text += " (difficult)";
    boxes.push_back({object.box, class_colour(object.label), std::move(text), is_ignored(object)});
  }
  draw_boxes(image, boxes);
}

/// The pictures of `count` images of a split, evenly spread over it; 0: of all.
void choose(const DataPart& part, const Options& options, std::set<std::string>& taken,
            std::vector<Drawing>& drawings) {
  const std::vector<Sample>& samples = part.data.samples;
  const size_t count = options.count == 0 ? samples.size() : std::min(options.count, samples.size());
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = samples[i * samples.size() / count];
    const fs::path stem = fs::path(part.split) / sample.image.stem();
    constexpr size_t kMaxStem = 255 - 4;  // bytes: a name of 255 without its extension
    const auto fitting = [&](const std::string& ending) {
      const size_t folder = stem.string().size() - stem.filename().string().size();
      return cut_to(stem.string(), folder + kMaxStem - ending.size()) + ending;
    };
    std::string name = fitting("");
    for (int number = 2; !taken.insert(name).second; ++number) name = fitting(fmt::format("_{}", number));
    drawings.push_back({&sample, &part.data.classes,
                        fs::path(options.out) / (name + (options.pictures == "png" ? ".png" : ".jpg"))});
  }
}

/// Creates the folders and checks that the pictures destroy nothing.
void prepare_folders(const Options& options, const std::vector<DataPart>& parts,
                     const std::vector<Drawing>& drawings) {
  for (const DataPart& part : parts) {
    std::error_code failed;
    const fs::path folder = fs::path(options.out) / part.split;
    fs::create_directories(folder, failed);
    check_input(!failed, "{}: cannot create the folder: {}", folder.string(), failed.message());
  }
  OutputCheck check(options.force);
  check.reads(options.data);
  for (const Drawing& drawing : drawings) check.reads(drawing.sample->image);
  for (const Drawing& drawing : drawings) {
    check_no_link("--out", drawing.picture);
    check.writes("--out", drawing.picture);
  }
}

void draw(const Options& options) {
  const DataFolder folder = find_and_describe(options.reading, options.data);
  check_outside(options.out, folder);
  std::vector<DataPart> parts;
  if (options.split.empty())
    parts = read_and_report(folder, Decode::no);
  else
    parts.push_back({usual_split(options.split).empty() ? options.split : usual_split(options.split),
                     read_split(folder, options.split)});
  check_split_names(parts);
  std::vector<Drawing> drawings;
  std::set<std::string> taken;
  for (const DataPart& part : parts) choose(part, options, taken, drawings);
  prepare_folders(options, parts, drawings);

  struct Item {
    Image image;
    std::string fault;
  };
  const auto drawing_of = [&](int64_t i) -> const Drawing& { return drawings[static_cast<size_t>(i)]; };
  const auto read = [&](int64_t i) {
    Item item;
    try {
      item.image = read_image(drawing_of(i).sample->image);
    } catch (const InputError& fault) {  // an unreadable file does not stop the others
      item.fault = fault.what();
    }
    return item;
  };
  const auto pass = [](int64_t, Item item) { return item; };
  const auto finish = [&](int64_t i, Item item) {
    if (!item.fault.empty()) return item.fault;
    const Drawing& drawing = drawing_of(i);
    draw_objects(item.image, *drawing.sample, *drawing.classes);
    options.pictures == "png" ? write_png(drawing.picture, item.image)
                              : write_jpeg(drawing.picture, item.image);
    return std::string();
  };
  size_t unread = 0;
  const auto report = [&](int64_t i, const std::string& fault) {
    const Drawing& drawing = drawing_of(i);
    if (fault.empty()) {
      fmt::print("{}: {} -> {}\n", printable(drawing.sample->image.string()),
                 counted(drawing.sample->objects.size(), "object"), printable(drawing.picture.string()));
      return;
    }
    fmt::print(stderr, "rcnn: {}\n", printable(fault));
    ++unread;
  };
  run_pipeline(std::ssize(drawings), options.workers, read, pass, finish, report);
  check_input(unread == 0, "{} of {} images could not be read; the others are drawn", unread,
              drawings.size());
}

}  // namespace

void add_data_draw(CLI::App& data) {
  auto options = std::make_shared<Options>();
  CLI::App* app = data.add_subcommand("draw", "Draw labelled images with their boxes and classes");
  app->footer(
      "The images are spread evenly over each split. Crowds and difficult objects have dashed boxes.");
  app->add_option("data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("DIR");
  app->add_option("--out", options->out, "folder for the pictures, which lie in DIR/SPLIT")
      ->required()
      ->type_name("DIR");
  app->add_option("--count", options->count, "maximum number of images of each split; 0: all [20]")
      ->check(not_negative());
  app->add_option("--split", options->split, "split to draw [all]")->type_name("TEXT");
  app->add_option("--pictures", options->pictures, "format of the pictures: jpeg or png [jpeg]")
      ->check(CLI::IsMember({"jpeg", "png"}).description(""))
      ->type_name("FORM");
  app->add_option("--workers", options->workers, "threads that read and write pictures [2]")
      ->check(CLI::Range(0, 256).description(""));
  add_force(*app, options->force);
  options->reading.add(*app);
  app->callback([options] { draw(*options); });
}

}  // namespace rcnn
