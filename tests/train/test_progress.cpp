#include "train/progress.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

using namespace rcnn;
using namespace std::chrono_literals;

namespace {

ProgressState some_state() { return {120, 500, {{"loss", 1.234}, {"rpn_cls", 0.21}}, 35.24, 42}; }

std::string text_of(std::FILE* file) {
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  REQUIRE(std::fread(text.data(), 1, text.size(), file) == text.size());
  return text;
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("progress: times") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(59.4) == "0:59");
  CHECK(clock_text(59.6) == "1:00");
  CHECK(clock_text(725) == "12:05");
  CHECK(clock_text(3 * 3600 + 7 * 60) == "3:07:00");
  CHECK(clock_text(-1) == "0:00");
  CHECK(clock_text(1.0 / 0.0) == "?");
}

TEST_CASE("progress: the line") {
  CHECK(progress_line(some_state(), false) == "120/500 loss 1.234  rpn_cls 0.210  35.2 images/s  0:42 left");
  CHECK(progress_line(some_state(), true) ==
        "120/500 [#######                     ] loss 1.234  rpn_cls 0.210  35.2 images/s  0:42 left");
  ProgressState state = some_state();
  state.step = 7;
  CHECK(progress_line(state, false).substr(0, 8) == "  7/500 ");
  state.step = 500;
  CHECK(contains(progress_line(state, true), "[############################]"));
}

TEST_CASE("progress: the line fits any width; the last losses are dropped first") {
  ProgressState state = some_state();
  for (int i = 0; i < 12; ++i) state.losses.emplace_back("loss_number_" + std::to_string(i), 1e6);
  for (int columns = 1; columns < 200; ++columns) {
    CAPTURE(columns);
    CHECK(static_cast<int>(progress_line(state, true, columns).size()) <= columns);
    CHECK(static_cast<int>(progress_line(state, false, columns).size()) <= columns);
  }
  const std::string narrow = progress_line(state, true, 60);
  CHECK(contains(narrow, "loss 1.234"));
  CHECK_FALSE(contains(narrow, "rpn_cls"));
  CHECK(contains(narrow, "0:42 left"));

  state.losses = {{"one_with_a_long_name", 1}, {"b", 2}};
  CHECK(progress_line(state, false, 44) == "120/500 35.2 images/s  0:42 left");  // b alone would mislead
}

TEST_CASE(
    "progress: without a terminal a line is printed from time to time, and always the first and the last") {
  const File file(std::tmpfile(), std::fclose);
  {
    Progress progress(file.get(), 10, 20, 5);
    const auto start = Progress::Clock::now();
    for (int step = 11; step <= 20; ++step) {
      const auto now = start + (step - 10) * 1s;
      CHECK(progress.due(step, now) == (step == 11 || step == 16 || step == 20));
      progress.update(step, 8, {{"loss", step}}, now);
    }
    progress.message("evaluating");
  }
  const std::string text = text_of(file.get());
  CAPTURE(text);
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK(contains(text, "11/20 loss 11.000  "));
  CHECK(contains(text, "16/20 loss 16.000  8.0 images/s  0:04 left\n"));
  CHECK(contains(text, "20/20 loss 20.000  8.0 images/s  0:00 left\nevaluating\n"));
}

TEST_CASE("progress: a pause counts for the time left, not for the images per second") {
  const File file(std::tmpfile(), std::fclose);
  Progress progress(file.get(), 0, 4, 0);
  const auto start = Progress::Clock::now();
  progress.update(1, 6, {}, start + 2s);
  progress.pause_ended(start + 10s);
  progress.update(2, 6, {}, start + 12s);
  const std::string text = text_of(file.get());
  CAPTURE(text);
  CHECK(contains(text, "2/4 3.0 images/s  0:12 left"));
}

TEST_CASE("progress: on a terminal one line is redrawn") {
  const int controller = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (controller < 0 || ::grantpt(controller) != 0 || ::unlockpt(controller) != 0) {
    MESSAGE("skipped: no pseudo-terminal here");
    return;
  }
  const File terminal(std::fopen(::ptsname(controller), "w"), std::fclose);
  REQUIRE(terminal != nullptr);
  Progress progress(terminal.get(), 0, 3);
  const auto start = Progress::Clock::now();
  progress.update(1, 4, {{"loss", 1}}, start + 1s);
  progress.update(2, 4, {{"loss", 2}}, start + 1s + 50ms);  // too soon
  progress.message("note");
  progress.update(3, 4, {{"loss", 3}}, start + 2s);
  progress.finish();
  progress.finish();
  fmt::print(terminal.get(), "end of test");
  std::fflush(terminal.get());

  // A terminal delivers its text in pieces.
  std::string text;
  pollfd waiting{controller, POLLIN, 0};
  while (!contains(text, "end of test") && ::poll(&waiting, 1, 10'000) == 1) {
    char piece[256];
    const ssize_t read = ::read(controller, piece, sizeof piece);
    if (read <= 0) break;
    text.append(piece, static_cast<size_t>(read));
  }
  ::close(controller);
  CAPTURE(text);
  CHECK(contains(text, "\r\x1b[K1/3 ["));
  CHECK_FALSE(contains(text, "loss 2"));
  CHECK(contains(text, "\r\x1b[Knote\r\n\r\x1b[K3/3 ["));
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(contains(text, "0:00 left\r\nend of test"));
}
