#include "core/files/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/files/output.h"
#include "core/files/retry.h"
#include "core/log.h"

namespace rcnn {
namespace {

constexpr std::string_view kProcess = ", process ";

/// "process 1234" from the text of the lock, or "another process" before that one has written its number.
std::string holder(int file) {
  char text[200] = {};
  const ssize_t size = retried([&] { return ::pread(file, text, sizeof text, 0); });
  const std::string_view found(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  const size_t at = found.find(kProcess);
  int64_t number = 0;
  if (at != std::string_view::npos)
    std::from_chars(found.data() + at + kProcess.size(), found.data() + found.size(), number);
  return number > 0 ? fmt::format("process {}", number) : "another process";
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, double patience) {
  using Clock = std::chrono::steady_clock;
  const std::filesystem::path path = file_in(folder);
  std::error_code none;
  path_ = std::filesystem::absolute(path, none);
  file_ = retried([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); });
  check(file_ >= 0, "{} cannot be opened: {}.", path.string(), std::strerror(errno));
  const auto is_held = [&] {
    return retried([&] { return ::flock(file_, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK;
  };
  bool held = is_held();
  if (held && patience > 0) {
    print_log("{}: {} is still training in this folder; waiting up to {:g} s for its end\n", folder.string(),
              holder(file_), patience);
    const auto end = Clock::now() + std::chrono::duration<double>(patience);
    while (held && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      held = is_held();
    }
  }
  if (held) {
    const std::string other = holder(file_);
    ::close(file_);
    throw InputError(
        fmt::format("{}: {} is training in this folder; choose another --out, or wait until it has ended",
                    folder.string(), other));
  }
  const std::string text = fmt::format("{}{}{}\n", kWrittenHere, kProcess, ::getpid());
  // The number is a help for people: on a full disk the run goes on, and fails where it loses something.
  [[maybe_unused]] const bool written =
      retried([&] { return ::ftruncate(file_, 0); }) == 0 &&
      retried([&] { return ::pwrite(file_, text.data(), text.size(), 0); }) > 0;
}

void FolderLock::check_holds() const {
  struct stat locked {
  }, there{};
  const bool holds = ::fstat(file_, &locked) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                     locked.st_dev == there.st_dev && locked.st_ino == there.st_ino;
  check(holds,
        "{} is no longer the folder of this run: it was removed, renamed or replaced after the run began. "
        "Nothing more is written",
        path_.parent_path().string());
}

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace rcnn
