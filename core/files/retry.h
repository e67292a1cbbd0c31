// System calls that a signal interrupts before they have done anything.
#pragma once

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace rcnn {

/// Repeats the call, which returns a negative number on failure, as long as it fails with EINTR. Not for
/// close: its descriptor is free all the same.
template <class Call>
auto retried(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// The entries of a folder. The folder is opened again while a signal interrupts that; `failed` says whether
/// it was opened.
inline std::filesystem::directory_iterator listed_folder(const std::filesystem::path& folder,
                                                         std::error_code& failed) {
  std::filesystem::directory_iterator entries(folder, failed);
  while (failed == std::errc::interrupted) entries = std::filesystem::directory_iterator(folder, failed);
  return entries;
}

}  // namespace rcnn
