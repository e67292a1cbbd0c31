// The subcommands of `rcnn`, one file each.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace rcnn {

// Each adds its subcommand to the program; `command_line` is quoted in what it writes.
void add_train(CLI::App& program, const std::string& command_line);
void add_eval(CLI::App& program);
void add_detect(CLI::App& program);
void add_check(CLI::App& program);
void add_synth(CLI::App& program);
void add_bench(CLI::App& program);

/// Commit, libraries and instruction set, in one line.
std::string version_line();

}  // namespace rcnn
