// A library for LD_PRELOAD that lets one call of the C library fail, as a full disk, a broken disk, a signal
// or a crash would. tests/torture/torture.py runs the program under it.
//
//   RCNN_FAULT_FOLDER  only calls on files in this folder count
//   RCNN_FAULT         FUNCTION:N:KIND fails the N-th call of the function, from 1; FUNCTION:N+:KIND all from
//   it on.
//                      The functions are those of kNames; `any` counts all of them together.
//                      KIND is the name of an error (ENOSPC, EIO, EINTR, ...), or
//                        short        writes, or reads, half of what was asked
//                        kill-before  ends the process with SIGKILL, kill-after after the call,
//                        kill-half    after half of a write
//   RCNN_FAULT_LOG     a file to which each call that counts adds a line: function and path
//
// Calls that the C library makes inside itself are not seen: those of FILE, for example, except opening it.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

enum Function {
  kOpen,
  kOpendir,
  kMkdir,
  kRead,
  kWrite,
  kFsync,
  kRename,
  kClose,
  kMmap,
  kUnlink,
  kFtruncate,
  kFlock,
  kLink,
  kFunctions
};
constexpr std::array<std::string_view, kFunctions> kNames = {
    "open",  "opendir", "mkdir",  "read",      "write", "fsync", "rename",
    "close", "mmap",    "unlink", "ftruncate", "flock", "link"};

enum class Kind { none, error, half, kill_before, kill_after, kill_half };

struct Error {
  std::string_view name;
  int number;
};
constexpr Error kErrors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EINTR", EINTR},   {"EACCES", EACCES},
                             {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"EDQUOT", EDQUOT}, {"ENOLCK", ENOLCK}};

/// The next definition of a function: that of the C library.
template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}

/// What the environment asks for. It is read at the first call.
struct Plan {
  std::string folder;
  int function = -1;  // kFunctions: any
  long call = 0;
  bool on = false;  // from that call on
  Kind kind = Kind::none;
  int error = 0;
  int log = -1;

  Plan() {
    const char* in = std::getenv("RCNN_FAULT_FOLDER");
    if (in == nullptr) return;
    folder = in;
    if (const char* path = std::getenv("RCNN_FAULT_LOG")) {
      // By system calls: `open` is the one below, and a low number could take the place of standard output.
      const long opened =
          ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      log = ::fcntl(static_cast<int>(opened), F_DUPFD_CLOEXEC, 900);
      ::syscall(SYS_close, opened);
    }
    if (const char* text = std::getenv("RCNN_FAULT")) parse(text);
  }

  void parse(std::string_view text) {
    const size_t first = text.find(':'), second = text.find(':', first + 1);
    if (first == text.npos || second == text.npos) refuse(text);
    const std::string_view name = text.substr(0, first), what = text.substr(second + 1);
    function = static_cast<int>(std::find(kNames.begin(), kNames.end(), name) - kNames.begin());
    if (function == kFunctions && name != "any") refuse(text);
    call = std::atol(std::string(text.substr(first + 1, second - first - 1)).c_str());
    on = text[second - 1] == '+';
    for (const Error& known : kErrors)
      if (known.name == what) kind = Kind::error, error = known.number;
    if (what == "short") kind = Kind::half;
    if (what == "kill-before") kind = Kind::kill_before;
    if (what == "kill-after") kind = Kind::kill_after;
    if (what == "kill-half") kind = Kind::kill_half;
    if (kind == Kind::none || call < 1) refuse(text);
  }
  [[noreturn]] static void refuse(std::string_view text) {
    std::fprintf(stderr, "RCNN_FAULT=%.*s: expected FUNCTION:N:KIND\n", static_cast<int>(text.size()),
                 text.data());
    ::_exit(99);
  }
};

const Plan& plan() {
  static const Plan kPlan;
  return kPlan;
}

std::atomic<long> calls[kFunctions + 1];
constexpr int kFiles = 4096;
std::atomic<bool> ours[kFiles];  // whether the descriptor is that of a file in the folder

bool is_ours(int file) { return file >= 0 && file < kFiles && ours[file]; }
void set_ours(int file, bool value) {
  if (file >= 0 && file < kFiles) ours[file] = value;
}

bool inside(const char* path) {
  const std::string& folder = plan().folder;
  if (folder.empty() || path == nullptr) return false;
  std::string whole = path;
  if (whole.empty() || whole.front() != '/') {
    char here[PATH_MAX];
    if (::getcwd(here, sizeof here) == nullptr) return false;
    whole = std::string(here) + "/" + whole;
  }
  return whole.starts_with(folder) && (whole.size() == folder.size() || whole[folder.size()] == '/');
}

/// Counts a call and says what becomes of it.
Kind due(Function function, const char* what) {
  const Plan& asked = plan();
  if (asked.log >= 0) {
    const std::string line = std::string(kNames[function]) + " " + what + "\n";
    ::syscall(SYS_write, asked.log, line.data(), line.size());
  }
  const long of_function = ++calls[function], of_all = ++calls[kFunctions];
  if (asked.function != function && asked.function != kFunctions) return Kind::none;
  const long number = asked.function == kFunctions ? of_all : of_function;
  return number == asked.call || (asked.on && number > asked.call) ? asked.kind : Kind::none;
}

std::string path_of(int file) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const long size = ::syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), path, sizeof path);
  return size < 0 ? "?" : std::string(path, static_cast<size_t>(size));
}

/// Makes a call that counts, or not. `half` makes half of it; nothing means that there is no half.
template <class Call, class Half>
auto tried(Function function, const char* what, decltype(std::declval<Call>()()) failed, const Call& call,
           const Half& half) {
  switch (due(function, what)) {
    case Kind::none:
      return call();
    case Kind::error:
      errno = plan().error;
      return failed;
    case Kind::half:
      return half();
    case Kind::kill_before:
      die();
    case Kind::kill_after:
      call();
      die();
    case Kind::kill_half:
      half();
      die();
  }
  return failed;
}
template <class Call>
auto tried(Function function, const char* what, decltype(std::declval<Call>()()) failed, const Call& call) {
  return tried(function, what, failed, call, call);
}

template <class Call>
int opened(const char* path, const Call& call) {
  if (!inside(path)) return call();
  const int file = tried(kOpen, path, -1, call);
  set_ours(file, true);
  return file;
}

template <class Call>
ssize_t moved(Function function, int file, size_t bytes, const Call& call) {
  if (!is_ours(file)) return call(bytes);
  return tried(
      function, path_of(file).c_str(), ssize_t{-1}, [&] { return call(bytes); },
      [&] { return call(std::max<size_t>(1, bytes / 2)); });
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static const auto real = next<int(const char*, int, ...)>("open");
  return opened(path, [&] { return real(path, flags, mode); });
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static const auto real = next<int(const char*, int, ...)>("open64");
  return opened(path, [&] { return real(path, flags, mode); });
}
int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static const auto real = next<int(int, const char*, int, ...)>("openat");
  const auto call = [&] { return real(folder, path, flags, mode); };
  if (folder == AT_FDCWD || path[0] == '/') return opened(path, call);
  return opened((path_of(folder) + "/" + path).c_str(), call);
}

FILE* fopen(const char* path, const char* mode) {
  static const auto real = next<FILE*(const char*, const char*)>("fopen");
  if (!inside(path)) return real(path, mode);
  FILE* const file = tried(kOpen, path, static_cast<FILE*>(nullptr), [&] { return real(path, mode); });
  if (file != nullptr) set_ours(::fileno(file), true);
  return file;
}
FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }
int fclose(FILE* stream) {
  static const auto real = next<int(FILE*)>("fclose");
  set_ours(::fileno(stream), false);
  return real(stream);
}

DIR* opendir(const char* path) {
  static const auto real = next<DIR*(const char*)>("opendir");
  if (!inside(path)) return real(path);
  return tried(kOpendir, path, static_cast<DIR*>(nullptr), [&] { return real(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = next<int(const char*, mode_t)>("mkdir");
  if (!inside(path)) return real(path, mode);
  return tried(kMkdir, path, -1, [&] { return real(path, mode); });
}

ssize_t read(int file, void* to, size_t bytes) {
  static const auto real = next<ssize_t(int, void*, size_t)>("read");
  return moved(kRead, file, bytes, [&](size_t n) { return real(file, to, n); });
}
ssize_t pread(int file, void* to, size_t bytes, off_t at) {
  static const auto real = next<ssize_t(int, void*, size_t, off_t)>("pread");
  return moved(kRead, file, bytes, [&](size_t n) { return real(file, to, n, at); });
}
ssize_t pread64(int file, void* to, size_t bytes, off64_t at) { return pread(file, to, bytes, at); }
ssize_t write(int file, const void* from, size_t bytes) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return moved(kWrite, file, bytes, [&](size_t n) { return real(file, from, n); });
}
ssize_t pwrite(int file, const void* from, size_t bytes, off_t at) {
  static const auto real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return moved(kWrite, file, bytes, [&](size_t n) { return real(file, from, n, at); });
}
ssize_t pwrite64(int file, const void* from, size_t bytes, off64_t at) {
  return pwrite(file, from, bytes, at);
}
ssize_t writev(int file, const iovec* parts, int count) {
  static const auto real = next<ssize_t(int, const iovec*, int)>("writev");
  if (!is_ours(file) || count < 1) return real(file, parts, count);
  const auto half = [&] { return ::syscall(SYS_write, file, parts[0].iov_base, (parts[0].iov_len + 1) / 2); };
  return tried(
      kWrite, path_of(file).c_str(), ssize_t{-1}, [&] { return real(file, parts, count); },
      [&] { return static_cast<ssize_t>(half()); });
}

int fsync(int file) {
  static const auto real = next<int(int)>("fsync");
  if (!is_ours(file)) return real(file);
  return tried(kFsync, path_of(file).c_str(), -1, [&] { return real(file); });
}
int fdatasync(int file) {
  static const auto real = next<int(int)>("fdatasync");
  if (!is_ours(file)) return real(file);
  return tried(kFsync, path_of(file).c_str(), -1, [&] { return real(file); });
}
int close(int file) {
  static const auto real = next<int(int)>("close");
  if (!is_ours(file)) return real(file);
  const std::string path = path_of(file);
  set_ours(file, false);
  const auto call = [&] { return real(file); };
  const int closed = tried(kClose, path.c_str(), -2, call);
  if (closed != -2) return closed;
  call();  // the descriptor is free afterwards, whatever the system returns
  errno = plan().error;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int(const char*, const char*)>("rename");
  if (!inside(to)) return real(from, to);
  return tried(kRename, to, -1, [&] { return real(from, to); });
}
int unlink(const char* path) noexcept {
  static const auto real = next<int(const char*)>("unlink");
  if (!inside(path)) return real(path);
  return tried(kUnlink, path, -1, [&] { return real(path); });
}
int link(const char* from, const char* to) noexcept {
  static const auto real = next<int(const char*, const char*)>("link");
  if (!inside(to)) return real(from, to);
  return tried(kLink, to, -1, [&] { return real(from, to); });
}
int ftruncate(int file, off_t size) noexcept {
  static const auto real = next<int(int, off_t)>("ftruncate");
  if (!is_ours(file)) return real(file, size);
  return tried(kFtruncate, path_of(file).c_str(), -1, [&] { return real(file, size); });
}
int ftruncate64(int file, off64_t size) noexcept { return ftruncate(file, size); }
int flock(int file, int operation) noexcept {
  static const auto real = next<int(int, int)>("flock");
  if (!is_ours(file)) return real(file, operation);
  return tried(kFlock, path_of(file).c_str(), -1, [&] { return real(file, operation); });
}
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  static const auto real = next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  const auto call = [&] { return real(at, bytes, protection, flags, file, offset); };
  if (!is_ours(file)) return call();
  return tried(kMmap, path_of(file).c_str(), MAP_FAILED, call);
}
void* mmap64(void* at, size_t bytes, int protection, int flags, int file, off64_t offset) noexcept {
  return mmap(at, bytes, protection, flags, file, offset);
}

}  // extern "C"
