#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "cli/commands.h"
#include "cli/device.h"
#include "core/pipeline.h"
#include "data/draw.h"
#include "eval/detect.h"
#include "models/detector.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

/// The files as given, with each folder replaced by its images in the order of their names.
std::vector<fs::path> list_images(const std::vector<std::string>& paths) {
  std::vector<fs::path> images;
  for (const fs::path path : paths) {
    check_input(fs::exists(path), "{}: no such file or folder", path.string());
    if (!fs::is_directory(path)) {
      images.push_back(path);
      continue;
    }
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file() && is_image_name(entry.path())) found.push_back(entry.path());
    check_input(!found.empty(), "{}: the folder holds no .jpg, .jpeg or .png file", path.string());
    std::sort(found.begin(), found.end());
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
  std::string weights, classes, out = "detections", pictures = "jpeg";
  std::vector<std::string> paths;
  std::optional<float> score;
  int64_t short_side = 0;
  int workers = 2;
  int64_t batch = 0;  // 0: kGpuBatch on a GPU, otherwise 1
  DeviceOptions device;

  bool draws() const { return pictures != "none"; }
  fs::path picture(const std::string& name) const {
    return fs::path(out) / (name + (pictures == "png" ? ".png" : ".jpg"));
  }
};

/// The annotated picture of a photograph in the same folder could replace it.
void check_that_images_survive(const std::vector<fs::path>& images, const Options& options) {
  std::error_code ignored;
  std::set<fs::path> inputs;
  for (const fs::path& image : images) inputs.insert(fs::weakly_canonical(image, ignored));
  std::set<std::string> names;
  for (const fs::path& image : images) {
    const fs::path picture = options.picture(unique_name(names, image.stem().string()));
    check_input(!inputs.contains(fs::weakly_canonical(picture, ignored)),
                "--out {}: the annotated picture {} would replace one of the images; choose another folder",
                options.out, picture.string());
  }
}

/// An image on its way from the file to the annotated picture.
struct Item {
  fs::path path;
  Image image = {};
  std::string fault = {};               // why it could not be read; empty if it could
  std::vector<LabelledBox> shown = {};  // the detections to draw
  std::string name = {};                // of the picture, without its extension
};

void detect(const Options& options) {
  Detector detector = load_model(options.weights, options.classes);
  if (!detector.note.empty()) fmt::print("{}\n", detector.note);
  if (options.short_side > 0) set_short_side(detector.model->config, options.short_side);
  const auto ctx = options.device.make_context(detector.model->config);
  move_to(*detector.model, ctx->device);
  const std::vector<fs::path> images = list_images(options.paths);
  if (options.draws()) check_that_images_survive(images, options);
  const fs::path out = options.out;
  std::error_code error;
  fs::create_directories(out, error);
  check_input(!error, "{}: cannot create the folder: {}", out.string(), error.message());

  std::vector<Sample> samples;
  std::vector<Detection> all;
  std::set<std::string> names;
  const int64_t count = std::ssize(images);
  const int64_t batch_size = options.batch > 0                      ? options.batch
                             : ctx->device.type == DeviceType::cuda ? kGpuBatch
                                                                    : 1;
  using Batch = std::vector<Item>;
  const auto read = [&](int64_t batch) {
    Batch items;
    for (int64_t i = batch * batch_size; i < std::min(count, (batch + 1) * batch_size); ++i) {
      Item& item = items.emplace_back(Item{.path = images[static_cast<size_t>(i)]});
      try {
        item.image = read_image(item.path);
      } catch (const InputError& fault) {  // an unreadable file does not stop the others
        item.fault = fault.what();
      }
    }
    return items;
  };
  const auto find = [&](int64_t, Batch items) {
    std::vector<const Image*> readable;
    for (const Item& item : items)
      if (item.fault.empty()) readable.push_back(&item.image);
    auto found = detect_images(*ctx, *detector.model, readable, static_cast<int>(samples.size()));
    auto next = found.begin();
    for (Item& item : items) {
      if (!item.fault.empty()) continue;
      for (const Detection& d : *next)
        if (d.score >= options.score.value_or(confidence_of(detector, d.label)))
          item.shown.push_back({d.box, d.label, d.score});
      item.name = unique_name(names, item.path.stem().string());
      samples.push_back({item.name, item.path, item.image.width, item.image.height, {}});
      all.insert(all.end(), next->begin(), next->end());
      ++next;
    }
    return items;
  };
  const auto draw = [&](int64_t, Batch items) {
    for (Item& item : items) {
      if (item.fault.empty() && options.draws()) {
        draw_detections(item.image, item.shown, detector.classes);
        const fs::path picture = options.picture(item.name);
        options.pictures == "png" ? write_png(picture, item.image) : write_jpeg(picture, item.image);
      }
      item.image = {};
    }
    return items;
  };
  std::string bad;
  const auto report = [&](int64_t, const Batch& items) {
    for (const Item& item : items) {
      const std::string path = item.path.string();
      if (!item.fault.empty()) {
        fmt::print(stderr, "rcnn: {}\n", item.fault);
        bad = path;
        continue;
      }
      fmt::print("{}: {} objects{}\n", path, item.shown.size(),
                 options.draws() ? " -> " + options.picture(item.name).string() : "");
    }
  };
  run_pipeline((count + batch_size - 1) / batch_size, options.workers, read, find, draw, report);
  write_detections(out / "detections.json", all, samples, detector.classes, detector.category_ids);
  options.device.print_sync_report();
  check_input(bad.empty(), "{} of {} images could not be read, the last of them {}; the others are done",
              images.size() - samples.size(), images.size(), bad);
}

}  // namespace

void add_detect(CLI::App& program) {
  auto options = std::make_shared<Options>();
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
      ->check(CLI::Range(0.0f, 1.0f));
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
  options->device.add(*app);
  app->callback([options] { detect(*options); });
}

}  // namespace rcnn
