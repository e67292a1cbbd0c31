// Signals whose handlers do not restart system calls lose no byte.
#include "core/files/retry.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "core/log.h"
#include "tests/data/fixtures.h"
#include "train/json_lines.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::atomic<int> interruptions = 0;

/// While it lives, the thread that made it gets SIGUSR1 every 200 microseconds, and its calls are not
/// restarted.
class Interruptions {
 public:
  Interruptions() {
    struct sigaction action {};
    action.sa_handler = [](int) { ++interruptions; };
    ::sigaction(SIGUSR1, &action, &before_);
    sender_ = std::thread([this, target = ::pthread_self()] {
      while (!stop_) {
        ::pthread_kill(target, SIGUSR1);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  ~Interruptions() {
    stop_ = true;
    sender_.join();
    ::sigaction(SIGUSR1, &before_, nullptr);
  }
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;

 private:
  struct sigaction before_ {};
  std::atomic<bool> stop_ = false;
  std::thread sender_;
};

/// Reads everything from a descriptor slowly, so that its writer has to wait.
std::string read_slowly(int file) {
  std::string text;
  char part[4096];
  for (ssize_t size; (size = ::read(file, part, sizeof part)) > 0;
       text.append(part, static_cast<size_t>(size)))
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  return text;
}

}  // namespace

TEST_CASE("retry: a call is repeated after EINTR, and after no other error") {
  int left = 3;
  CHECK(retried([&] { return left-- > 0 ? (errno = EINTR, -1) : 7; }) == 7);
  int calls = 0;
  CHECK(retried([&] { return ++calls, errno = EIO, -1; }) == -1);
  CHECK(calls == 1);
  CHECK(errno == EIO);
}

TEST_CASE("retry: a log keeps what signals interrupt") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  std::string received;
  std::thread reader([&] { received = read_slowly(ends[0]); });
  std::FILE* const out = ::fdopen(ends[1], "w");
  std::string sent;
  {
    const Interruptions signals;
    for (int i = 0; i < 200; ++i) {
      const std::string text = fmt::format("{} {}\n", i, std::string(2000, 'x'));
      write_log(out, text);
      sent += text;
    }
  }
  std::fclose(out);
  reader.join();
  ::close(ends[0]);
  CHECK(interruptions > 0);
  CHECK(received == sent);
}

TEST_CASE("retry: metrics keep what signals interrupt") {
  const TemporaryFolder folder;
  const std::string pipe = (folder / "metrics.jsonl").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int end = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(::fcntl(end, F_SETFL, 0) == 0);
  std::string received;
  std::thread reader;
  {
    JsonLines lines = JsonLines::create(pipe);
    reader = std::thread([&] { received = read_slowly(end); });
    const Interruptions signals;
    for (int i = 0; i < 200; ++i) lines.write({{"step", i}, {"text", std::string(2000, 'x')}});
    lines.sync();
  }
  reader.join();
  ::close(end);
  CHECK(std::count(received.begin(), received.end(), '\n') == 200);
  CHECK(received.size() == 10 * 2021 + 90 * 2022 + 100 * 2023);
}
