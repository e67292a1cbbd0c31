// The cache of what was used most recently.
#include "core/recently_used.h"

#include <doctest/doctest.h>

#include <string>

using rcnn::RecentlyUsed;

TEST_CASE("recently used: the cache keeps what was used most recently") {
  RecentlyUsed<int, std::string> cache(3);
  int made = 0;
  const auto get = [&](int key) {
    return cache.get(key, [&] {
      ++made;
      return std::to_string(key);
    });
  };
  CHECK(get(1) == "1");
  CHECK(get(2) == "2");
  CHECK(get(3) == "3");
  CHECK(get(1) == "1");
  CHECK(made == 3);
  CHECK(get(4) == "4");  // replaces 2, the least recently used
  CHECK(made == 4);
  CHECK(get(1) == "1");
  CHECK(get(3) == "3");
  CHECK(made == 4);
  CHECK(get(2) == "2");
  CHECK(made == 5);
}
