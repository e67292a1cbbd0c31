// What the program says to a command line that it does not understand, and the command `help`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace rcnn {

/// Adds `rcnn help [COMMAND]`.
void add_help(CLI::App& program);

/// The answer to a command line that ends before it names a command (`rcnn`, `rcnn bench`): those that there
/// are. Empty if the error is another one.
std::string asked_list(const CLI::App& program, const CLI::Error& error);

/// One line that says what is wrong with the command line, what was probably meant, and which help explains
/// it.
std::string usage_error(const CLI::App* program, const CLI::Error& error);

}  // namespace rcnn
