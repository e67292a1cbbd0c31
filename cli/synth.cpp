#include <fmt/format.h>

#include "cli/commands.h"
#include "core/counted.h"
#include "core/files/output.h"
#include "data/scenes.h"

namespace rcnn {

void add_synth(CLI::App& program) {
  struct Options {
    std::string out, split = "train";
    uint32_t count = 100;
    uint64_t seed = 1;
    bool force = false;
    SceneOptions scene;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("synth", "Generate scenes with exact boxes to train on");
  app->footer("Writes PNG images and Pascal VOC annotations. One folder can hold several splits.");
  app->add_option("--out", options->out, "folder to write to")->required()->type_name("DIR");
  app->add_option("--count", options->count, "number of scenes [100]")->check(not_negative());
  app->add_option("--seed", options->seed, "random seed; the same seed and split give the same scenes [1]")
      ->check(not_negative());
  app->add_option("--split", options->split, "name of the split [train]")->type_name("TEXT");
  app->add_option("--width", options->scene.width, "width of the scenes, in pixels [320]");
  app->add_option("--height", options->scene.height, "height of the scenes, in pixels [240]");
  app->add_option("--objects", options->scene.max_objects, "maximum number of objects per scene [8]");
  app->add_option("--min-size", options->scene.min_size, "minimum size of an object, in pixels [18]");
  app->add_option("--max-size", options->scene.max_size, "maximum size of an object, in pixels [110]");
  add_threads(*app);
  add_force(*app, options->force);
  app->callback([options] {
    OutputCheck outputs(options->force);
    for (const auto& file : existing_scene_files(options->out, options->count, options->split))
      outputs.writes("--out", file, is_scene_list(file));
    write_scenes(options->out, options->count, options->seed, options->split, options->scene);
    fmt::print("{}: {} in the split '{}'\n", options->out, counted(options->count, "scene"), options->split);
  });
}

}  // namespace rcnn
