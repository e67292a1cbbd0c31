// Ends the program with a sentence, instead of an illegal instruction, on a processor for which it was not
// built.
//
// The Makefile defines RCNN_ARCH and compiles this file alone for any x86-64 processor. It includes nothing
// of the project: the linker might keep its copy of an inline function.
#if defined(RCNN_ARCH) && !defined(__clang__)  // clang 14 does not know the names of levels
#include <unistd.h>

namespace {

/// Runs before the constructors of the other files.
[[gnu::constructor(101)]] void refuse_older_processor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports(RCNN_ARCH)) return;
  static const char sentence[] =
      "rcnn: this program was built for " RCNN_ARCH
      " processors, and this processor lacks some of their instructions; build it with "
      "`make ARCH=native` on this machine\n";
  const ssize_t written = ::write(STDERR_FILENO, sentence, sizeof(sentence) - 1);
  ::_exit(written < 0 ? 1 : 2);
}

}  // namespace
#endif
