#include <fmt/format.h>

#include "cli/commands.h"
#include "core/files/output.h"
#include "core/files/safetensors.h"
#include "models/detector.h"
#include "models/weights.h"

namespace rcnn {

void add_export(CLI::App& program) {
  struct Options {
    std::string weights, out;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("export", "Write a detector's weights for torchvision");
  app->footer(
      "The file holds exactly the tensors that load_state_dict(strict=True) expects of the same model built "
      "from\n"
      "torchvision's parts: docs/weights.md shows how.");
  app->add_option("--weights", options->weights, "trained model (best.safetensors), or torchvision's .pth")
      ->required()
      ->type_name("FILE");
  app->add_option("--out", options->out, "safetensors file to write")->required()->type_name("FILE");
  add_force(*app, options->force);
  app->callback([options] {
    const std::filesystem::path out = options->out;
    check_input(out.extension() == ".safetensors",
                "--out {}: expected a name that ends in .safetensors, the only format that export writes",
                options->out);
    OutputCheck outputs(options->force);
    outputs.reads(options->weights);
    outputs.writes("--out", out);
    Detector detector = load_model(options->weights);
    const auto tensors = export_weights(*detector.model);
    write_safetensors(out, tensors, detector_metadata(detector));
    fmt::print("{}: {} tensors of {}\n", options->out, tensors.size(), detector.model->config.backbone);
  });
}

}  // namespace rcnn
