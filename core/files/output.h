// The rule that every command follows before it writes: no output is one of its inputs, and no file is
// replaced that this program did not write.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rcnn {

/// Every file that the program writes has this text near its beginning: as "info" in JSON and in the metadata
/// of safetensors, as a comment in JPEG, PNG, HTML and XML. Lists of names and metrics.jsonl, which have no
/// place for it, are recognised by the files beside them.
inline constexpr std::string_view kWrittenHere = "written by rcnn.cu";

/// Whether the file has that text near its beginning, is a model of this program, or holds nothing (no byte,
/// or an empty JSON list). False if it cannot be read.
bool is_written_here(const std::filesystem::path& file);

/// The same for a file that holds nothing: false.
bool is_marked_here(const std::filesystem::path& file);

/// Throws InputError, which begins with `option`, unless the name ends in `extension` (".json"). For figures
/// of experiments: so they never take the place of a model, a picture or an annotation, which this program
/// may have written too.
void check_extension(std::string_view option, const std::filesystem::path& path, std::string_view extension);

/// Throws InputError, which begins with `option`, if `file` exists and this program wrote it, but not as
/// `what` ("times of `lab time`"), which has "`key`" near its beginning: so that figures do not take the
/// place of an evaluation.
void check_same_kind(std::string_view option, const std::filesystem::path& file, std::string_view key,
                     std::string_view what);

/// Runs several steps that write results, so that the failure of one does not cost the others.
class KeepGoing {
 public:
  template <class Step>
  void run(const Step& step) {
    try {
      step();
    } catch (const std::exception&) {
      if (!first_) first_ = std::current_exception();
    }
  }
  /// Throws the first failure, if there was one.
  void finish() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

/// The files that a command reads, against which those that it will write are checked before it begins.
class OutputCheck {
 public:
  /// With `force`, files may be replaced that another program wrote; inputs may not even then.
  explicit OutputCheck(bool force) : force_(force) {}

  /// The command reads this file, or any file in this folder and the folders in it. Results in such a folder
  /// (JSON, HTML and weights of this program) are not taken for data. An empty path means that an option was
  /// not given.
  void reads(const std::filesystem::path& path);

  /// Throws InputError, which begins with `option`, unless the command may write the file `path`: it is in a
  /// folder that exists, it is not an input, by any name or link, nor another output, and if it exists it was
  /// written by this program. Removes what killed processes left in that folder (remove_left_temporaries).
  /// `ours` says that it was, and that it is no data, for a file without the text. The checkpoint of a run is
  /// replaced like a file of another program, unless it is `ours`.
  void writes(std::string_view option, const std::filesystem::path& path, bool ours = false);

 private:
  using FileId = std::pair<uint64_t, uint64_t>;  // device and inode

  void list_folders();

  bool force_;
  std::set<FileId> files_, in_folders_;
  std::vector<std::filesystem::path> folders_;  // not listed yet
  std::set<std::filesystem::path> outputs_, cleaned_;
};

}  // namespace rcnn
