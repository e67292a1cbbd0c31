// Questions about files and folders. Those of the standard library throw an exception of their own where a
// path cannot be followed (a link to itself, a folder that may not be entered, a name that is too long);
// these throw an InputError, a sentence that names the path.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

namespace rcnn {

/// False if there is nothing at the path. Links are followed. Throws InputError if that cannot be found out.
bool is_there(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);

/// The same for an entry of a folder. An entry that cannot be followed is neither.
bool is_folder(const std::filesystem::directory_entry& entry);
bool is_file(const std::filesystem::directory_entry& entry);

/// The entries of a folder, by name. Throws InputError if it cannot be listed.
std::vector<std::filesystem::directory_entry> entries_of(const std::filesystem::path& folder);

/// Whether to enter the folder that was visited, and whether to go on.
enum class Visit { on, pass_by, stop };

/// Calls `visit` for each entry at any depth. Links to folders are not entered, nor is lost+found. Throws
/// InputError if a folder cannot be listed.
void walk(const std::filesystem::path& root,
          const std::function<Visit(const std::filesystem::directory_entry&)>& visit);

/// Makes the folder and those around it, unless they exist. Throws Error naming it.
void make_folders(const std::filesystem::path& folder);

}  // namespace rcnn
