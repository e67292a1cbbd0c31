#include "core/files/atomic_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// During its lifetime no file of this process can grow beyond `bytes`, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

std::string error_of_writing(const fs::path& path, const std::string& content) {
  try {
    write_atomically(path, content);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("atomic file: content is written completely, from one piece or several") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_atomically(path, "first");
  CHECK(content_of(path) == "first");
  write_atomically(path, [](FileWriter& writer) {
    writer.write("one ");
    writer.write(std::string(100'000, 'x'));
    CHECK(writer.size() == 100'004);
    writer.write("");
  });
  CHECK(content_of(path) == "one " + std::string(100'000, 'x'));
  write_atomically(path, "");
  CHECK(fs::file_size(path) == 0);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("atomic file: the old file is there until the new one is complete") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_atomically(path, "old");
  write_atomically(path, [&](FileWriter& writer) {
    writer.write("new");
    CHECK(content_of(path) == "old");
    CHECK(files_in(folder.path()) == 2);
  });
  CHECK(content_of(path) == "new");
}

TEST_CASE("atomic file: on a full disk the old file stays, and the message says what was missing") {
  const TemporaryFolder folder;
  const fs::path path = folder / "weights";
  write_atomically(path, "old");
  std::string sentence;
  {
    const FullDisk disk(4096);
    sentence = error_of_writing(path, std::string(10'000, 'x'));
  }
  CHECK(contains(sentence, path.string()));
  CHECK(contains(sentence, "10000 bytes"));
  CHECK(contains(sentence, "5904 are missing"));  // a short write took the first 4,096
  CHECK(contains(sentence, "File too large"));
  CHECK(content_of(path) == "old");
  CHECK(files_in(folder.path()) == 1);

  write_atomically(path, "room again");
  CHECK(content_of(path) == "room again");
}

TEST_CASE("atomic file: an exception in between leaves everything as it was") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_atomically(path, "old");
  CHECK_THROWS_AS(write_atomically(path,
                                   [](FileWriter& writer) {
                                     writer.write("half");
                                     throw std::logic_error("stop");
                                   }),
                  std::logic_error);
  CHECK(content_of(path) == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("atomic file: a folder that is missing, and targets that are not files") {
  const TemporaryFolder folder;
  const fs::path nowhere = folder / "no/file";
  CHECK(contains(error_of_writing(nowhere, "x"), nowhere.string()));
  CHECK(contains(error_of_writing(nowhere, "x"), "No such file or directory"));
  CHECK(contains(error_of_writing(folder.path(), "x"), "not a regular file"));
  CHECK(contains(error_of_writing("/dev/null", "x"), "not a regular file"));
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("atomic file: names may be as long as the file system allows") {
  const TemporaryFolder folder;
  const fs::path path = folder / std::string(255, 'x');
  CHECK(error_of_writing(path, "content").empty());
  CHECK(content_of(path) == "content");
  CHECK(contains(error_of_writing(folder / std::string(256, 'x'), "content"), "File name too long"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE(
    "atomic file: what killed processes left is removed, what is being written and other files are not") {
  const TemporaryFolder folder;
  for (const char* name : {".rcnn-tmp-1-0", ".rcnn-tmp-123456-7", ".rcnn-tmp-1-", ".rcnn-tmp--1",
                           ".rcnn-tmp-1", ".rcnn-tmp-1-0x", "rcnn-tmp-1-0", "a.tmp-1-0"})
    write_text(folder / name, "half");
  fs::create_directory(folder / ".rcnn-tmp-5-5");
  write_text(folder / "target", "mine");
  fs::create_symlink(folder / "target", folder / ".rcnn-tmp-6-6");
  write_atomically(folder / "file", [&](FileWriter& writer) {
    writer.write("a");
    remove_left_temporaries(folder.path());
    writer.write("b");
  });
  CHECK(content_of(folder / "file") == "ab");
  CHECK_FALSE(fs::exists(folder / ".rcnn-tmp-1-0"));
  CHECK_FALSE(fs::exists(folder / ".rcnn-tmp-123456-7"));
  CHECK(files_in(folder.path()) == 10);
  CHECK(content_of(folder / "target") == "mine");
  CHECK_NOTHROW(remove_left_temporaries(folder / "none"));
}

TEST_CASE("atomic file: permissions and symbolic links survive") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  const fs::path target = folder / "real/file", link = folder / "link";
  write_atomically(target, "old");
  CHECK((fs::status(target).permissions() & fs::perms::owner_write) != fs::perms::none);
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(target, link);
  write_atomically(link, "new");
  CHECK(fs::is_symlink(link));
  CHECK(content_of(target) == "new");
  CHECK(fs::status(target).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}
