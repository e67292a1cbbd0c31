#include "core/files/output.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/retry.h"
#include "core/files/source_file.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Where the text is looked for: long lists of class names may come before it in a model.
constexpr size_t kBeginning = size_t{1} << 20;

std::string beginning_of(const fs::path& path) try {
  std::string text(kBeginning, '\0');
  text.resize(SourceFile(path).read_up_to(0, text.data(), text.size()));
  return text;
} catch (const InputError&) {
  return "?";
}

std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

}  // namespace

bool is_marked_here(const fs::path& file) {
  const std::string text = beginning_of(file);
  // The models of versions that did not write the text are recognised by their format.
  return text.find(kWrittenHere) != std::string::npos ||
         text.find(R"("format":"rcnn.cu )") != std::string::npos;
}

bool is_written_here(const fs::path& file) {
  return is_marked_here(file) || beginning_of(file).find_first_not_of(" \r\n[]") == std::string::npos;
}

void check_extension(std::string_view option, const fs::path& path, std::string_view extension) {
  check_input(path.extension() == extension, "{} {}: expected a name that ends in {}", option, path.string(),
              extension);
}

void check_same_kind(std::string_view option, const fs::path& file, std::string_view key,
                     std::string_view what) {
  if (!is_marked_here(file)) return;  // OutputCheck decides
  constexpr size_t kHead = 2048;      // keys of figures come first
  const std::string text = beginning_of(file).substr(0, kHead);
  check_input(text.find(fmt::format("\"{}\":", key)) != std::string::npos,
              "{} {}: this program wrote it, but it has no {}, which would replace it: name another file, or "
              "remove it",
              option, file.string(), what);
}

namespace {

/// Whether a file holds what `train --resume` continues from. Its metadata come first.
bool is_checkpoint(const fs::path& file) {
  return file.extension() == ".safetensors" && is_marked_here(file) &&
         beginning_of(file).find(R"("train_seconds":)") != std::string::npos;
}

/// Whether a file is a result of this program, and not data to train on, as the annotations of `data convert`
/// are.
bool is_result(const fs::path& file) {
  const std::array results = {".json", ".jsonl", ".html", ".safetensors"};
  return is_written_here(file) &&
         std::find(results.begin(), results.end(), file.extension()) != results.end() &&
         beginning_of(file).find(R"("images":)") == std::string::npos;
}

}  // namespace

void OutputCheck::reads(const fs::path& path) {
  const auto status = path.empty() ? std::nullopt : status_of(path);
  if (!status) return;
  if (S_ISDIR(status->st_mode))
    folders_.push_back(path);
  else
    files_.emplace(status->st_dev, status->st_ino);
}

/// Lists the files of all folders. Links to folders are followed, each folder is entered once.
void OutputCheck::list_folders() {
  std::set<FileId> entered;
  while (!folders_.empty()) {
    const fs::path folder = std::move(folders_.back());
    folders_.pop_back();
    std::error_code error;
    for (fs::directory_iterator entry = listed_folder(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const auto status = status_of(entry->path());
      if (!status) continue;
      const FileId id{status->st_dev, status->st_ino};
      if (!S_ISDIR(status->st_mode))
        in_folders_.insert(id);
      else if (entered.insert(id).second)
        folders_.push_back(entry->path());
    }
  }
}

void OutputCheck::writes(std::string_view option, const fs::path& path, bool ours) {
  std::error_code none;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  check_input(path.has_filename(), "{} {}: expected the name of a file", option, path.string());
  check_input(fs::is_directory(folder, none), "{} {}: the folder {} does not exist", option, path.string(),
              folder.string());
  if (cleaned_.insert(fs::weakly_canonical(fs::absolute(folder, none), none)).second)
    remove_left_temporaries(folder);
  check_input(outputs_.insert(fs::weakly_canonical(fs::absolute(path, none), none)).second,
              "{} {}: the command would write this file twice", option, path.string());
  const auto status = status_of(path);
  if (!status) return;
  check_input(S_ISREG(status->st_mode), "{} {}: it exists and is not a regular file", option, path.string());
  const bool written_here = ours || is_written_here(path);
  list_folders();
  const FileId id{status->st_dev, status->st_ino};
  const bool in_data = in_folders_.contains(id) && !ours && !is_result(path);
  check_input(!files_.contains(id) && !in_data,
              "{} {}: the command reads this file and would replace it; choose another name", option,
              path.string());
  check_input(written_here || force_,
              "{} {}: this file exists and was not written by rcnn; choose another name, or replace it with "
              "--force",
              option, path.string());
  check_input(ours || force_ || !is_checkpoint(path),
              "{} {}: this file is the checkpoint of a run, which could not be resumed without it; choose "
              "another name, or replace it with --force",
              option, path.string());
}

}  // namespace rcnn
