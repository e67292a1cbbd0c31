#include "core/files/look.h"

#include <algorithm>
#include <system_error>

#include "core/error.h"
#include "core/files/retry.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

fs::file_status look(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  check_input(fs::status_known(status) || status.type() == fs::file_type::not_found, "{} cannot be read: {}.",
              path.string(), failed.message());
  return status;
}

}  // namespace

bool is_there(const fs::path& path) { return fs::exists(look(path)); }
bool is_folder(const fs::path& path) { return fs::is_directory(look(path)); }
bool is_file(const fs::path& path) { return fs::is_regular_file(look(path)); }

bool is_folder(const fs::directory_entry& entry) {
  std::error_code broken;
  return entry.is_directory(broken);
}

bool is_file(const fs::directory_entry& entry) {
  std::error_code broken;
  return entry.is_regular_file(broken);
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code failed;
  for (fs::directory_iterator it = listed_folder(folder, failed), end; !failed && it != end;
       it.increment(failed))
    entries.push_back(*it);
  check_input(!failed, "The folder {} cannot be listed: {}.", folder.string(), failed.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

void walk(const fs::path& root, const std::function<Visit(const fs::directory_entry&)>& visit) {
  std::vector<fs::path> folders = {root};
  while (!folders.empty()) {
    const fs::path folder = std::move(folders.back());
    folders.pop_back();
    for (const fs::directory_entry& entry : entries_of(folder)) {
      const Visit answer = visit(entry);
      if (answer == Visit::stop) return;
      std::error_code unusable;
      if (answer == Visit::on && is_folder(entry) && !entry.is_symlink(unusable) &&
          entry.path().filename() != "lost+found")
        folders.push_back(entry.path());
    }
  }
}

void make_folders(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  check(!failed, "{}: the folder cannot be created: {}.", folder.string(), failed.message());
}

}  // namespace rcnn
