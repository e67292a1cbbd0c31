// --device, --threads, --precision, --kernel, --plans and --sync-report, for the commands that run a model.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "core/context.h"
#include "kernels/plans.h"
#include "models/faster_rcnn.h"

namespace rcnn {

struct DeviceOptions {
  std::string device = "auto", precision, plans;
  std::vector<std::string> kernels;
  bool sync_report = false;

  /// Adds the flags. This object must outlive the parsing.
  void add(CLI::App& app);
  /// Adds --device, --threads and --precision alone.
  void add_place(CLI::App& app);
  /// A context on the device of --device, with the plans of --plans. The precision is that of --precision, or
  /// the model's. Throws InputError if the file of plans cannot be read.
  std::unique_ptr<Context> make_context(const ModelConfig& config) const;
  /// The plans that make_context has read, or null.
  const kernels::Plans* read_plans() const { return read_.get(); }
  /// Prints which device was chosen and why: the first line of a command whose input has no fault. Then which
  /// plans make_context has read, if there are any.
  void print_start() const;
  /// Prints where the host waited for the device, if --sync-report is given.
  void print_sync_report() const;

 private:
  mutable std::shared_ptr<const kernels::Plans> read_;
};

/// Adds --plans, which names a file that `lab tune` has written.
CLI::Option* add_plans(CLI::App& app, std::string& file);
/// The plans of the file that hold on the device, with this program and the present number of threads; null
/// if `file` is empty.
std::shared_ptr<const kernels::Plans> plans_for(const std::string& file, Device device);

/// Prints where in the source, and how often, the host has waited for the device since the program began.
void print_host_waits();

}  // namespace rcnn
