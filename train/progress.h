// The progress of a training run: one line that is redrawn on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace rcnn {

/// Named values in the order in which they are shown: {"loss", 1.23}, {"rpn_cls", 0.4}, ...
using NamedValues = std::vector<std::pair<std::string, double>>;

/// The state of a run at one moment.
struct ProgressState {
  int64_t step = 0, total_steps = 0;
  NamedValues losses;
  double images_per_second = 0;
  double seconds_left = 0;
};

/// " 120/500 [######             ] loss 1.234  rpn_cls 0.210  35.2 images/s  0:42 left", at most `columns`
/// wide. If it is too long, the last losses are left out. The bar takes the remaining columns, at most 30;
/// without `with_bar` there is none.
std::string progress_line(const ProgressState& state, bool with_bar, int columns = 100);

/// "0:42", "12:05", "3:07:00".
std::string clock_text(double seconds);

/// Shows a run's progress. On a terminal one line is redrawn, at most ten times per second; elsewhere a line
/// is printed every `plain_seconds`. The first and the last step are always shown.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// The run goes from `first_step` (the steps done already, 0 unless resumed) to `total_steps`.
  Progress(std::FILE* out, int64_t first_step, int64_t total_steps, double plain_seconds = 10);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Whether `update` would show something. Otherwise the losses need not be fetched.
  bool due(int64_t step, Clock::time_point now = Clock::now()) const;
  /// Call it after every step, with the step's number, counted from 1, and its number of images. `losses` are
  /// only read when `due`.
  void update(int64_t step, int64_t images, const NamedValues& losses, Clock::time_point now = Clock::now());
  /// Call it when training continues after something else, such as an evaluation: the images per second do
  /// not include that time.
  void pause_ended(Clock::time_point now = Clock::now());
  /// Changes the number of steps that the run will have: with a time limit it is an estimate.
  void expect(int64_t total_steps) { total_steps_ = total_steps; }
  /// Prints a line, above the bar on a terminal.
  void message(const std::string& line);
  /// Ends the bar's line. `update` may follow.
  void finish();

 private:
  struct Mark {
    Clock::time_point time;
    int64_t images;
  };

  ProgressState state_at(int64_t step, const NamedValues& losses, Clock::time_point now) const;
  void clear_line();

  std::FILE* out_;
  bool terminal_;
  int64_t first_step_, total_steps_;
  std::chrono::duration<double> interval_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
  std::deque<Mark> marks_;  // of the last steps, over which the images per second are averaged
  bool line_open_ = false;
};

}  // namespace rcnn
