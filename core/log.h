// What a command says on standard output beside its result: a log that cannot be written, on a full disk or
// through a pipe whose reader has gone, ends nothing.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace rcnn {

/// Writes the text and flushes it. If that fails, the text is lost; of standard output, the reason is kept
/// for `log_failure`. SIGPIPE must be ignored for a closed pipe to be such a failure.
void write_log(std::FILE* out, std::string_view text);

/// The same for formatted text on standard output.
template <class... Args>
void print_log(fmt::format_string<Args...> text, Args&&... args) {
  write_log(stdout, fmt::format(text, std::forward<Args>(args)...));
}

/// A sentence about the first text that could not be written to standard output; empty if all were.
std::string log_failure();

}  // namespace rcnn
