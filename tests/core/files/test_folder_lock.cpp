// One run at a time in a folder.
#include "core/files/folder_lock.h"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "core/files/output.h"
#include "tests/data/fixtures.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("folder lock: a second one is refused with the number of the process, and possible afterwards") {
  const TemporaryFolder folder, other;
  {
    FolderLock lock(folder.path());
    const std::string sentence = input_error([&] { FolderLock{folder.path()}; });
    CHECK(contains(sentence, folder.path().string() + ": process " + std::to_string(::getpid()) +
                                 " is training in this folder"));
    CHECK_NOTHROW(FolderLock{other.path()});
    const FolderLock moved(std::move(lock));
    CHECK(contains(input_error([&] { FolderLock{folder.path()}; }), "is training in this folder"));
  }
  CHECK_NOTHROW(FolderLock{folder.path()});
  CHECK(is_written_here(FolderLock::file_in(folder.path())));
}

TEST_CASE("folder lock: a patient process waits for the one before it, and no longer than it was told") {
  using Clock = std::chrono::steady_clock;
  const Quiet quiet;
  const TemporaryFolder folder;
  std::optional<FolderLock> first(std::in_place, folder.path());
  auto begin = Clock::now();
  CHECK(contains(input_error([&] { FolderLock(folder.path(), 0.2); }), "is training in this folder"));
  CHECK(Clock::now() - begin >= std::chrono::milliseconds(200));
  begin = Clock::now();
  std::thread ending([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    first.reset();
  });
  CHECK_NOTHROW(FolderLock(folder.path(), 60));
  CHECK(Clock::now() - begin >= std::chrono::milliseconds(250));
  CHECK(Clock::now() - begin < std::chrono::seconds(30));
  ending.join();
}

TEST_CASE("folder lock: the file of a process that has ended is no obstacle, whatever it holds") {
  const TemporaryFolder folder;
  for (const std::string text :
       {"", "written by rcnn.cu, process 1\n", "garbage", "process 999999999999999999999"}) {
    write_text(FolderLock::file_in(folder.path()), text);
    CHECK_NOTHROW(FolderLock{folder.path()});
  }
  CHECK_THROWS_WITH_AS(FolderLock{folder / "none"}, doctest::Contains("No such file or directory"), Error);
}

TEST_CASE("folder lock: a folder that was removed, renamed or replaced is no longer locked") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder / "run";
  const auto holds = [](const FolderLock& lock) {
    try {
      lock.check_holds();
      return true;
    } catch (const Error& error) {
      CHECK(contains(error.what(), "is no longer the folder of this run"));
      return false;
    }
  };
  for (const std::string change : {"removed", "renamed", "replaced"}) {
    CAPTURE(change);
    std::filesystem::create_directories(run);
    const FolderLock lock(run);
    CHECK(holds(lock));
    change == "renamed" ? std::filesystem::rename(run, folder / "other")
                        : void(std::filesystem::remove_all(run));
    CHECK_FALSE(holds(lock));
    if (change != "replaced") continue;
    std::filesystem::create_directories(run);
    const FolderLock second(run);
    CHECK_FALSE(holds(lock));
    CHECK(holds(second));
  }
}
