#include "train/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/log.h"
#include "core/world.h"

namespace rcnn {
namespace {

constexpr std::chrono::duration<double> kRedraw{0.1};
constexpr size_t kMarks = 64;
constexpr int kMaxColumns = 100, kMinBar = 10, kMaxBar = 30;

/// The width to draw in: the terminal's without its last column, which would wrap.
int columns_of(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kMaxColumns;
  return std::min<int>(kMaxColumns, size.ws_col - 1);
}

std::string bar(double share, int width) {
  const int done = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * (width - 2)));
  return fmt::format("[{:#<{}}{: <{}}] ", "", done, "", width - 2 - done);
}

}  // namespace

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto whole = static_cast<int64_t>(std::clamp(std::round(seconds), 0.0, 1e9));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string progress_line(const ProgressState& state, bool with_bar, int columns) {
  const std::string total = std::to_string(state.total_steps);
  const std::string head = fmt::format("{:>{}}/{} ", state.step, total.size(), total);
  const std::string tail =
      fmt::format("{:.1f} images/s  {} left", state.images_per_second, clock_text(state.seconds_left));
  const int smallest_bar = with_bar ? kMinBar + 1 : 0;
  int room = columns - smallest_bar - static_cast<int>(head.size() + tail.size());

  std::string losses;
  for (const auto& [name, value] : state.losses) {
    const std::string loss = fmt::format("{} {:.3f}  ", name, value);
    if (static_cast<int>(loss.size()) > room) break;
    losses += loss;
    room -= static_cast<int>(loss.size());
  }
  std::string line = head;
  if (with_bar) {
    const double share = state.total_steps > 0
                             ? static_cast<double>(state.step) / static_cast<double>(state.total_steps)
                             : 1.0;
    line += bar(share, std::clamp(kMinBar + room, kMinBar, kMaxBar));
  }
  line += losses + tail;
  return line.substr(0, static_cast<size_t>(std::max(columns, 1)));
}

Progress::Progress(std::FILE* out, int64_t first_step, int64_t total_steps, double plain_seconds)
    : out_(out),
      // mpirun gives rank 0 a terminal of its own, whatever its output is then written to.
      terminal_(::isatty(::fileno(out)) != 0 && !is_launched()),
      first_step_(first_step),
      total_steps_(total_steps),
      interval_(terminal_ ? kRedraw : std::chrono::duration<double>(plain_seconds)) {
  marks_.push_back({start_, 0});
}

bool Progress::due(int64_t step, Clock::time_point now) const {
  return step <= first_step_ + 1 || step >= total_steps_ || now - shown_ >= interval_;
}

ProgressState Progress::state_at(int64_t step, const NamedValues& losses, Clock::time_point now) const {
  ProgressState state{step, total_steps_, losses};
  const std::chrono::duration<double> recent = now - marks_.front().time, elapsed = now - start_;
  if (recent.count() > 0)
    state.images_per_second =
        static_cast<double>(marks_.back().images - marks_.front().images) / recent.count();
  // The remaining time includes evaluations, so it is extrapolated from the whole run.
  if (step > first_step_)
    state.seconds_left = elapsed.count() / static_cast<double>(step - first_step_) *
                         static_cast<double>(std::max<int64_t>(total_steps_ - step, 0));
  return state;
}

void Progress::update(int64_t step, int64_t images, const NamedValues& losses, Clock::time_point now) {
  marks_.push_back({now, marks_.back().images + images});
  if (marks_.size() > kMarks) marks_.pop_front();
  if (!due(step, now)) return;
  shown_ = now;
  const std::string line = progress_line(state_at(step, losses, now), terminal_, columns_of(out_));
  if (terminal_) {
    write_log(out_, "\r\x1b[K" + line);
    line_open_ = true;
  } else {
    write_log(out_, line + "\n");
  }
}

void Progress::pause_ended(Clock::time_point now) { marks_ = {{now, marks_.back().images}}; }

void Progress::clear_line() {
  if (line_open_) write_log(out_, "\r\x1b[K");
  line_open_ = false;
}

void Progress::message(const std::string& line) {
  clear_line();
  write_log(out_, line + "\n");
}

void Progress::finish() {
  if (line_open_) write_log(out_, "\n");
  line_open_ = false;
}

}  // namespace rcnn
