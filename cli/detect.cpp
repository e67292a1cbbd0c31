#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/commands.h"
#include "cli/device.h"
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

}  // namespace

void add_detect(CLI::App& program) {
  struct Options {
    std::string weights, out = "detections";
    std::vector<std::string> paths;
    float score = 0.5f;
    int64_t short_side = 0;
    DeviceOptions device;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("detect", "Detect objects in photographs and draw them");
  app->add_option("--weights", options->weights, "trained model (best.safetensors)")
      ->required()
      ->type_name("FILE");
  app->add_option("--out", options->out, "folder for annotated PNGs and detections.json [detections]")
      ->type_name("DIR");
  app->add_option(
         "--score", options->score,
         "confidence threshold: draw detections with at least this score; the JSON file has all [0.5]")
      ->check(CLI::Range(0.0f, 1.0f));
  app->add_option("images", options->paths, "images, or folders of images")->required()->type_name("PATH");
  app->add_option("--short-side", options->short_side,
                  "resize images to this short side, in pixels [the model's]")
      ->check(CLI::Range(16, 8192));
  options->device.add(*app);
  app->callback([options] {
    Detector detector = load_model(options->weights);
    if (options->short_side > 0) set_short_side(detector.model->config, options->short_side);
    const auto ctx = options->device.make_context(detector.model->config);
    move_to(*detector.model, ctx->device);
    const fs::path out = options->out;
    std::error_code error;
    fs::create_directories(out, error);
    check_input(!error, "{}: cannot create the folder: {}", out.string(), error.message());

    std::vector<Sample> samples;
    std::vector<Detection> all;
    std::set<std::string> names;
    std::string bad;
    size_t bad_count = 0;
    for (const fs::path& path : list_images(options->paths)) {
      Image image;
      try {
        image = read_image(path);
      } catch (const InputError& fault) {  // an unreadable file does not stop the others
        fmt::print(stderr, "rcnn: {}\n", fault.what());
        bad = path.string();
        ++bad_count;
        continue;
      }
      const auto found = detect_image(*ctx, *detector.model, image, static_cast<int>(samples.size()));
      std::vector<LabelledBox> shown;
      for (const Detection& d : found)
        if (d.score >= options->score) shown.push_back({d.box, d.label, d.score});
      draw_detections(image, shown, detector.classes);
      std::string name = path.stem().string();
      for (int i = 2; !names.insert(name).second; ++i) name = fmt::format("{}_{}", path.stem().string(), i);
      write_png(out / (name + ".png"), image);
      fmt::print("{}: {} objects -> {}\n", path.string(), shown.size(), (out / (name + ".png")).string());
      samples.push_back({name, path, image.width, image.height, {}});
      all.insert(all.end(), found.begin(), found.end());
    }
    write_detections(out / "detections.json", all, samples, detector.classes, detector.category_ids);
    options->device.print_sync_report();
    check_input(bad_count == 0, "{} of {} images could not be read, the last of them {}; the others are done",
                bad_count, bad_count + samples.size(), bad);
  });
}

}  // namespace rcnn
