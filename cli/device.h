// --device, --precision, --kernel and --sync-report, for the commands that run a model.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "core/context.h"
#include "models/faster_rcnn.h"

namespace rcnn {

struct DeviceOptions {
  std::string device = "auto", precision;
  std::vector<std::string> kernels;
  bool sync_report = false;

  /// Adds the flags. Must outlive the parsing.
  void add(CLI::App& app);
  /// A context on the device that was asked for; prints which and why. The precision is the model's unless a
  /// flag says otherwise.
  std::unique_ptr<Context> make_context(const ModelConfig& config) const;
  /// Prints where the host waited for the device, if that was asked for.
  void print_sync_report() const;
};

/// Where the host waited for the device since the program began, by place in the source.
void print_host_waits();

}  // namespace rcnn
