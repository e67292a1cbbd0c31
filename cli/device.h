// --device, --threads, --precision, --kernel and --sync-report, for the commands that run a model.
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

  /// Adds the flags. This object must outlive the parsing.
  void add(CLI::App& app);
  /// A context on the device of --device. The precision is that of --precision, or the model's.
  std::unique_ptr<Context> make_context(const ModelConfig& config) const;
  /// Prints which device was chosen and why: the first line of a command whose input has no fault.
  void print_start() const;
  /// Prints where the host waited for the device, if --sync-report is given.
  void print_sync_report() const;
};

/// Prints where in the source, and how often, the host has waited for the device since the program began.
void print_host_waits();

}  // namespace rcnn
