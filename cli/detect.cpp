#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <set>

#include "bench/capture.h"
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/device.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/log.h"
#include "core/pipeline.h"
#include "core/text.h"
#include "data/convert.h"
#include "data/draw.h"
#include "data/image_folder.h"
#include "eval/detect.h"
#include "models/detector.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The files as given, with each folder replaced by its images in the order of their names.
std::vector<fs::path> list_images(const std::vector<std::string>& paths) {
  std::vector<fs::path> images;
  for (const fs::path path : paths) {
    std::error_code unknown;  // a path that cannot be followed fails with the images that cannot be read
    const fs::file_status status = fs::status(path, unknown);
    check_input(status.type() != fs::file_type::not_found, "{}: no such file or folder", path.string());
    if (!fs::is_directory(status)) {
      images.push_back(path);
      continue;
    }
    std::vector<fs::path> found;
    for (const auto& entry : entries_of(path))
      if (has_image_extension(entry.path()) && !is_folder(entry)) found.push_back(entry.path());
    check_input(!found.empty(), "{}: the folder holds no JPEG, PNG, BMP, WebP or TIFF file", path.string());
    images.insert(images.end(), found.begin(), found.end());
  }
  return images;
}

/// `stem`, or `stem_2`, `stem_3`, ... if that name is taken.
std::string unique_name(std::set<std::string>& taken, const std::string& stem) {
  std::string name = stem;
  for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", stem, i);
  return name;
}

/// Images per batch on a GPU: enough to occupy it, and few enough that a photograph's 36 MB, times the
/// batches in the pipeline, stay below 1 GB.
constexpr int64_t kGpuBatch = 4;

struct Options {
  std::string weights, classes, out = "detections", pictures = "jpeg", capture, command_line;
  std::vector<std::string> paths;
  std::optional<float> score;
  int64_t short_side = 0;
  int workers = 2;
  int64_t batch = 0;  // 0: kGpuBatch on a GPU, otherwise 1
  bool force = false;
  DeviceOptions device;

  bool draws() const { return pictures != "none"; }
  fs::path picture(const std::string& name) const {
    return fs::path(out) / (name + (pictures == "png" ? ".png" : ".jpg"));
  }
  fs::path results() const { return fs::path(out) / "detections.json"; }
};

/// Creates the folder --out and checks that writing to it destroys nothing. `names` are those of the
/// pictures.
void prepare_folder(const Options& options, const std::vector<fs::path>& images,
                    const std::vector<std::string>& names) {
  check_input(
      !is_image_folder_of_data(options.out),
      "--out {}: the annotated pictures would be among the images of a data set; choose another folder",
      options.out);
  std::error_code error;
  const bool existed = fs::exists(options.out, error);
  fs::create_directories(options.out, error);
  check_input(!error, "{}: cannot create the folder: {}", options.out, error.message());
  if (!existed) return;
  OutputCheck check(options.force);
  check.reads(options.weights);
  check.reads(options.classes);
  check.reads(options.device.plans);
  for (const fs::path& image : images) check.reads(image);
  check.writes("--out", options.results());
  for (const std::string& name : names)
    if (options.draws() && fs::exists(options.picture(name), error))
      check.writes("--out", options.picture(name));
}

/// The confidence threshold in words: what reaches it is drawn.
std::string threshold_text(const Options& options, const Detector& detector) {
  if (options.score) return fmt::format("with a score of at least {}", *options.score);
  float low = confidence_of(detector, 1), high = low;
  for (int label = 2; label <= static_cast<int>(detector.classes.size()); ++label) {
    low = std::min(low, confidence_of(detector, label));
    high = std::max(high, confidence_of(detector, label));
  }
  return low == high ? fmt::format("with a score of at least {:.3g}", low)
                     : fmt::format("with the score recommended for their class, {:.3g} to {:.3g}", low, high);
}

/// An image on its way from the file to the annotated picture.
struct Item {
  size_t index = 0;
  Image image = {};
  std::string unread = {}, undrawn = {};  // why it could not be read, or its picture written
  std::vector<LabelledBox> shown = {};    // the detections to draw
};

/// Images of which something failed.
struct Failures {
  size_t count = 0;
  std::string last;

  void add(const fs::path& image, const std::string& sentence) {
    write_log(stderr, fmt::format("rcnn: {}\n", printable(sentence)));
    ++count;
    last = image.string();
  }
  /// "2 of 5 images could not be read, the last of them c.jpg"; empty if there was none.
  std::string text(const char* what, size_t of) const {
    return count == 0 ? "" : fmt::format("{} of {} {}, the last of them {}", count, of, what, last);
  }
};

void detect(const Options& options) {
  Detector detector = load_model(options.weights, options.classes);
  if (!detector.note.empty()) fmt::print("{}\n", printable_lines(detector.note));
  if (options.short_side > 0) set_short_side(detector.model->config, options.short_side);
  const auto ctx = options.device.make_context(detector.model->config);
  const std::vector<fs::path> images = list_images(options.paths);
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const fs::path& image : images) names.push_back(unique_name(taken, image.stem().string()));
  prepare_folder(options, images, names);
  move_to(*detector.model, ctx->device);
  options.device.print_start();
  std::vector<fs::path> inputs = images;
  inputs.insert(inputs.end(), {options.weights, options.classes, options.device.plans});
  const auto capture = make_capture({.file = options.capture,
                                     .what = "detection",
                                     .training = false,
                                     .command = options.command_line,
                                     .version = version_line()},
                                    options.force, inputs, options.out);

  std::optional<DetectionList> list;
  std::exception_ptr unwritten;  // why the list could not be written
  size_t detected = 0;           // images
  const int64_t count = std::ssize(images);
  const int64_t batch_size = options.batch > 0                      ? options.batch
                             : ctx->device.type == DeviceType::cuda ? kGpuBatch
                                                                    : 1;
  using Batch = std::vector<Item>;
  const auto read = [&](int64_t batch) {
    Batch items;
    for (int64_t i = batch * batch_size; i < std::min(count, (batch + 1) * batch_size); ++i) {
      Item& item = items.emplace_back(Item{.index = static_cast<size_t>(i)});
      try {
        item.image = read_image(images[item.index]);
      } catch (const InputError& fault) {  // an unreadable file does not stop the others
        item.unread = fault.what();
      }
    }
    return items;
  };
  const auto find = [&](int64_t, Batch items) {
    std::vector<const Image*> readable;
    for (const Item& item : items)
      if (item.unread.empty()) readable.push_back(&item.image);
    const bool records = capture && !readable.empty();
    if (records) capture->step_begins(*ctx);
    auto found = detect_images(*ctx, *detector.model, readable);
    if (records) capture->step_ends(*ctx);
    auto next = found.begin();
    for (Item& item : items) {
      if (!item.unread.empty()) continue;
      for (const Detection& d : *next)
        if (d.score >= options.score.value_or(confidence_of(detector, d.label)))
          item.shown.push_back({d.box, d.label, d.score});
      try {
        const Sample sample{
            escaped(names[item.index]), images[item.index], item.image.width, item.image.height, {}};
        if (!unwritten) list->add(sample, *next);
      } catch (const Error&) {  // the pictures remain
        unwritten = std::current_exception();
      }
      ++detected;
      ++next;
    }
    return items;
  };
  const auto draw_one = [&](Item& item) {
    draw_detections(item.image, item.shown, detector.classes);
    const fs::path picture = options.picture(names[item.index]);
    options.pictures == "png" ? write_png(picture, item.image) : write_jpeg(picture, item.image);
  };
  const auto draw = [&](int64_t, Batch items) {
    for (Item& item : items) {
      try {
        if (item.unread.empty() && options.draws()) draw_one(item);
      } catch (const std::exception& fault) {  // the detections and the other pictures remain
        item.undrawn = fault.what();
      }
      item.image = {};
    }
    return items;
  };
  Failures unread, undrawn;
  const auto report = [&](int64_t, const Batch& items) {
    for (const Item& item : items) {
      const fs::path& path = images[item.index];
      if (!item.unread.empty()) {
        unread.add(path, item.unread);
        continue;
      }
      const bool drawn = options.draws() && item.undrawn.empty();
      fmt::print("{}: {} object{}{}{}\n", printable(path.string()), item.shown.size(),
                 item.shown.size() == 1 ? "" : "s",
                 item.shown.empty() ? " " + threshold_text(options, detector) : "",
                 drawn ? " -> " + printable(options.picture(names[item.index]).string()) : "");
      if (!item.undrawn.empty()) undrawn.add(path, item.undrawn);
    }
  };
  write_atomically(options.results(), [&](FileWriter& file) {
    list.emplace(file, detector.classes, detector.category_ids);
    run_pipeline((count + batch_size - 1) / batch_size, options.workers, read, find, draw, report);
    if (unwritten) std::rethrow_exception(unwritten);
    list->finish(unread.count);
  });
  if (capture) capture->finish();
  options.device.print_sync_report();
  const std::string first = unread.text("images could not be read", images.size()),
                    second = undrawn.text("pictures could not be written", detected);
  const std::string sentence =
      fmt::format("{}{}{}; the others and {} are done", first,
                  first.empty() || second.empty() ? "" : ", and ", second, options.results().string());
  check(second.empty(), "{}", sentence);
  check_input(first.empty(), "{}", sentence);
}

}  // namespace

void add_detect(CLI::App& program, const std::string& command_line) {
  auto options = std::make_shared<Options>();
  options->command_line = command_line;
  CLI::App* app = program.add_subcommand("detect", "Detect objects in photographs and draw them");
  app->add_option("--weights", options->weights,
                  "trained model (best.safetensors), or torchvision's (fasterrcnn_resnet50_fpn_coco.pth)")
      ->required()
      ->type_name("FILE");
  app->add_option("--classes", options->classes,
                  "names of the model's classes, one per line [the model's own, or COCO's]")
      ->type_name("FILE");
  app->add_option("--out", options->out, "folder for annotated pictures and detections.json [detections]")
      ->type_name("DIR");
  app->add_option("--pictures", options->pictures,
                  "format of the annotated pictures: jpeg, png or none [jpeg]")
      ->check(CLI::IsMember({"jpeg", "png", "none"}));
  app->add_option(
         "--score", options->score,
         "confidence threshold: draw detections with at least this score; the JSON file has all [the "
         "threshold that the model's file recommends for each class, or 0.5]")
      ->check(CLI::Range(0.0f, 1.0f))
      ->check(finite_number());
  app->add_option("images", options->paths, "images, or folders of images")->required()->type_name("PATH");
  app->add_option("--short-side", options->short_side,
                  "resize images to this short side, in pixels [the model's]")
      ->check(CLI::Range(16, 8192));
  app->add_option("--workers", options->workers,
                  "threads that read and write images while the others are detected on [2]")
      ->check(CLI::Range(0, 256));
  app->add_option("--batch", options->batch,
                  "images that are detected on together if they have the same size after resizing [4 on a "
                  "GPU, otherwise 1]")
      ->check(CLI::Range(1, 1024));
  app->add_option("--capture", options->capture, "record the ops of batches 4 to 13, for `rcnn lab replay`")
      ->type_name("FILE");
  add_max_megapixels(*app);
  add_force(*app, options->force);
  options->device.add(*app);
  app->callback([options] { detect(*options); });
}

}  // namespace rcnn
