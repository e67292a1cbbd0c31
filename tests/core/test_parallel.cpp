#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/parallel.h"

namespace rcnn {

TEST_CASE("parallel_for covers every index once, in ranges that do not depend on the threads") {
  for (const int64_t n : {0, 1, 7, 64, 1000}) {
    std::vector<int> visits(static_cast<size_t>(n), 0);
    parallel_for(n, 7, [&](int64_t begin, int64_t end) {
      CHECK(begin % 7 == 0);
      CHECK((end == n || end == begin + 7));
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    for (const int count : visits) CHECK(count == 1);
  }
}

TEST_CASE("the exception of the lowest chunk is rethrown") {
  std::string message;
  try {
    parallel_chunks(20, [](int64_t chunk) {
      if (chunk % 3 == 2) throw std::runtime_error(std::to_string(chunk));
    });
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  CHECK(message == "2");
}

TEST_CASE("a workspace takes its memory back with the scope, and never moves memory that is in use") {
  Workspace workspace;
  {
    const Workspace::Scope scope(workspace);
    int* first = workspace.take<int>(1000);
    first[999] = 5;
    for (int i = 0; i < 10; ++i) workspace.take<double>(1 << 20);  // more than one block
    CHECK(first[999] == 5);
    CHECK(reinterpret_cast<uintptr_t>(workspace.take<char>(3)) % 64 == 0);
  }
  const Workspace::Scope scope(workspace);
  const void* a = workspace.take<double>(100);
  {
    const Workspace::Scope inner(workspace);
    workspace.take<double>(100);
  }
  const void* b = workspace.take<double>(100);
  CHECK(static_cast<const char*>(b) == static_cast<const char*>(a) + 832);  // 800 bytes, rounded up to 64
}

}  // namespace rcnn
