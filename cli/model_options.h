// The options of the commands that run a model on noise: `rcnn bench model` and `rcnn profile`.
#pragma once

#include <CLI/CLI.hpp>

#include "bench/model_bench.h"

namespace rcnn {

/// Adds the model, the sizes of its input, and the numbers of steps. `options` must outlive the parsing.
void add_model_options(CLI::App& app, ModelBenchOptions& options);

}  // namespace rcnn
