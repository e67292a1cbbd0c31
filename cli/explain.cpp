#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/commands.h"
#include "cli/data_commands.h"
#include "cli/data_options.h"
#include "cli/device.h"
#include "cli/truth.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/text.h"
#include "data/convert.h"
#include "data/folder.h"
#include "report/explain.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string weights, classes, photo, data, out = "explained";
  std::optional<float> score;
  int64_t short_side = 0;
  std::vector<std::string> set;
  bool force = false;
  DataOptions reading;
  DeviceOptions device;
};

/// The objects on the photograph, which is looked for among the images of the data by its file.
std::vector<Object> find_objects(const Options& options, const Detector& detector) {
  const DataFolder folder = options.reading.find(options.data);
  const Dataset data = read_split(folder, "", detector.classes);
  if (count_boxes(data) == 0)
    check_classes("--weights " + options.weights, detector, options.data, read_split(folder, "").classes,
                  "explain");
  for (const Sample& sample : data.samples) {
    std::error_code unknown;  // an image that is missing is not this one
    if (fs::equivalent(sample.image, options.photo, unknown)) return sample.objects;
  }
  throw InputError(fmt::format("{}: --data {} does not contain this file; expected one of its {} images",
                               options.photo, options.data, data.samples.size()));
}

/// Whether a file has a name that `explain` gives to its pictures: "05_deltas_2.png".
bool is_picture_name(std::string_view name) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (name.size() < 9 || !name.ends_with(".png") || !digit(name[0]) || !digit(name[1]) || name[2] != '_')
    return false;
  name = name.substr(3, name.size() - 7);
  const size_t line = name.rfind('_');
  return line != std::string_view::npos && line > 0 && line + 1 < name.size() &&
         std::all_of(name.begin(), name.begin() + static_cast<ptrdiff_t>(line),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; }) &&
         std::all_of(name.begin() + static_cast<ptrdiff_t>(line) + 1, name.end(), digit);
}

/// Removes the pictures that an earlier explanation left in the folder and this page does not have: an
/// earlier one had more chapters. Returns their number.
size_t remove_other_pictures(const fs::path& out, const Explanation& explanation) {
  std::set<std::string> written;
  for (const auto& [name, picture] : explanation.pictures) written.insert(name + ".png");
  std::vector<fs::path> others;
  for (const auto& entry : entries_of(out)) {
    const std::string name = entry.path().filename().string();
    if (is_picture_name(name) && !written.contains(name) &&
        entry.symlink_status().type() == fs::file_type::regular && is_marked_here(entry.path()))
      others.push_back(entry.path());
  }
  size_t removed = 0;
  std::error_code error;  // what cannot be removed stays
  for (const fs::path& other : others) removed += fs::remove(other, error);
  return removed;
}

void explain_photo(const Options& options) {
  Detector detector = load_model(options.weights, options.classes);
  if (!detector.note.empty()) fmt::print("{}\n", printable_lines(detector.note));
  if (options.short_side > 0) set_short_side(detector.model->config, options.short_side);
  check_input(is_there(options.photo), "{}: no such file", options.photo);
  ExplainOptions explaining{
      .name = fs::path(options.photo).filename().string(), .score = options.score, .objects = {}};
  if (!options.set.empty()) explaining.what_if = parse_what_if(detector.model->config, options.set);
  if (!options.data.empty()) explaining.objects = find_objects(options, detector);
  const Image image = read_image(options.photo);
  check_explained_size(fmt::format("--short-side {}", detector.model->config.short_side),
                       detector.model->config, image);
  if (explaining.what_if)
    check_explained_size(fmt::format("--set short-side={}", explaining.what_if->config.short_side),
                         explaining.what_if->config, image);

  const fs::path out = options.out;
  check_input(!is_image_folder_of_data(out),
              "--out {}: the pictures would be among the images of a data set; choose another folder",
              options.out);
  std::error_code error;
  fs::create_directories(out, error);
  check_input(!error, "{}: cannot create the folder: {}", options.out, error.message());
  OutputCheck check(options.force);
  for (const std::string& input :
       {options.weights, options.classes, options.photo, options.data, options.device.plans})
    check.reads(input);
  check.writes("--out", out / "index.html");
  check.writes("--out", out / "trace.json");

  const auto ctx = options.device.make_context(detector.model->config);
  move_to(*detector.model, ctx->device);
  options.device.print_start();
  const Explanation explanation = explain(*ctx, detector, image, explaining);
  for (const auto& [name, picture] : explanation.pictures) {
    check_no_link("--out", out / (name + ".png"));
    check.writes("--out", out / (name + ".png"));
  }
  for (const auto& [name, picture] : explanation.pictures) write_png(out / (name + ".png"), picture);
  write_atomically(out / "trace.json", explanation.numbers);
  write_atomically(out / "index.html", explanation.page);
  if (const size_t removed = remove_other_pictures(out, explanation); removed > 0)
    fmt::print("{}: removed {} picture{} of an earlier page\n", printable(out.string()), removed,
               removed == 1 ? "" : "s");
  fmt::print("{}: {} pictures, trace.json -> {}\n", printable(options.photo), explanation.pictures.size(),
             printable((out / "index.html").string()));
  options.device.print_sync_report();
}

}  // namespace

void add_explain(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("explain", "Show step by step how a detector sees a photograph");
  app->footer(
      "With --data, the page also shows what became of each object, and what a training step would learn.\n"
      "Example: rcnn explain --weights run/best.safetensors photo.jpg --data photos --out explained");
  app->add_option("--weights", options->weights,
                  "trained model (best.safetensors), or torchvision's (fasterrcnn_resnet50_fpn_coco.pth)")
      ->required()
      ->type_name("FILE");
  app->add_option("--classes", options->classes,
                  "names of the model's classes, one per line [the model's own, or COCO's]")
      ->type_name("FILE");
  app->add_option(
         "--data", options->data,
         "labelled images, or a file of annotations, with the photograph among them: adds its objects")
      ->type_name("PATH");
  app->add_option("--out", options->out, "folder for index.html, the pictures and trace.json [explained]")
      ->type_name("DIR");
  app->add_option(
         "--score", options->score,
         "confidence threshold [the threshold that the model's file recommends for each class, or 0.5]")
      ->check(CLI::Range(0.0f, 1.0f))
      ->check(finite_number());
  app->add_option("image", options->photo, "the photograph")->required()->type_name("FILE");
  app->add_option("--short-side", options->short_side,
                  "resize the image to this short side, in pixels [the model's]")
      ->check(CLI::Range(16, 8192));
  app->add_option("--set", options->set,
                  "also show what this setting changes, in a second run: rpn-nms-thresh=.5; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_force(*app, options->force);
  options->reading.add(*app);
  options->device.add(*app);
  app->callback([options] { explain_photo(*options); });
}

}  // namespace rcnn
