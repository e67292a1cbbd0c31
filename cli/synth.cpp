#include <fmt/format.h>

#include "cli/commands.h"
#include "data/scenes.h"

namespace rcnn {

void add_synth(CLI::App& program) {
  struct Options {
    std::string out, split = "train";
    uint32_t count = 100;
    uint64_t seed = 1;
    SceneOptions scene;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("synth", "Make synthetic scenes with exact boxes: data to learn on");
  app->footer("Writes PNG images and Pascal VOC annotations; several splits can go into one folder.");
  app->add_option("--out", options->out, "the folder to write")->required()->type_name("DIR");
  app->add_option("--count", options->count, "number of scenes [100]");
  app->add_option("--seed", options->seed, "the same seed and split give the same scenes [1]");
  app->add_option("--split", options->split, "name of the split [train]")->type_name("TEXT");
  app->add_option("--width", options->scene.width, "pixels [320]");
  app->add_option("--height", options->scene.height, "pixels [240]");
  app->add_option("--objects", options->scene.max_objects, "most objects a scene [8]");
  app->add_option("--min-size", options->scene.min_size, "smallest object, pixels [18]");
  app->add_option("--max-size", options->scene.max_size, "largest object, pixels [110]");
  app->callback([options] {
    write_scenes(options->out, options->count, options->seed, options->split, options->scene);
    fmt::print("{}: {} scenes in the split '{}'\n", options->out, options->count, options->split);
  });
}

}  // namespace rcnn
