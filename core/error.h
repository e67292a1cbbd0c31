// The two kinds of failure that a user can see, each carried as a complete sentence.
//
// A message names the file, parameter or op concerned and says what was found and what was expected. Code
// that reports an error to the user prints `what()` and nothing else.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace rcnn {

/// A failure that the input did not cause; the program exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The input (a file, an option, an argument) is at fault; the program exits with 2.
class InputError : public Error {
 public:
  using Error::Error;
};

/// Throws Error with the formatted sentence unless `condition` holds. For the engine's own contracts (shapes,
/// types); a user's files and options are checked with `check_input`.
template <class... Args>
void check(bool condition, fmt::format_string<Args...> sentence, Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(fmt::format(sentence, std::forward<Args>(args)...));
}

/// Throws InputError with the formatted sentence unless `condition` holds.
template <class... Args>
void check_input(bool condition, fmt::format_string<Args...> sentence, Args&&... args) {
  if (!condition) [[unlikely]]
    throw InputError(fmt::format(sentence, std::forward<Args>(args)...));
}

}  // namespace rcnn
