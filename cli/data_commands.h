// The commands of `rcnn data`, and what those that write a data set have in common.
#pragma once

#include <CLI/CLI.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/data_options.h"
#include "data/convert.h"

namespace rcnn {

// Each adds its command to `rcnn data`.
void add_data_convert(CLI::App& data);
void add_data_split(CLI::App& data);
void add_data_merge(CLI::App& data);
void add_data_filter(CLI::App& data);
void add_data_draw(CLI::App& data);

/// --to, --out and --link.
struct WritingOptions {
  std::string form, out;
  bool link = false;

  /// Adds the options. This object must outlive the parsing.
  void add(CLI::App& app);
  /// Writes the splits into --out and prints what was written, and what the form has no place for.
  void write(std::vector<DataPart> parts) const;
};

/// The footer of every command that writes a data set.
inline constexpr const char* kWritingFooter =
    "Reads whatever `rcnn check` reads, and reads the result back to compare it.\n"
    "The folder must be new: nothing is ever written over other files.";

/// Finds the data at a path, prints what was ignored or chosen, and returns it.
DataFolder find_and_describe(const DataOptions& options, const std::string& path);

/// Whether the images are decoded, as `rcnn check` does with kMaxDecoded of them, to find those that cannot
/// be.
enum class Decode { no, yes };

/// read_parts, which prints how many faults the data has.
std::vector<DataPart> read_and_report(const DataFolder& folder, Decode decode = Decode::yes);

/// Throws InputError, which begins with `option`, for a picture that is a symbolic link: writing it would
/// replace a file elsewhere, also with --force.
void check_no_link(std::string_view option, const std::filesystem::path& picture);

/// "1 image", "2 images".
std::string counted(size_t count, const char* what);

/// "  what: count" on a line, unless the count is 0.
void print_note(const char* what, size_t count);

/// Prints for which splits which classes have no object to train on, if some other split has one.
void print_missing_classes(std::span<const DataPart> parts);

}  // namespace rcnn
