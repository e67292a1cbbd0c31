// How long the program's threads spin, as libgomp itself reports it.
#include "core/waiting.h"

#include <doctest/doctest.h>

#include "tests/program.h"

#if defined(__linux__) && !defined(RCNN_STD_THREADS)  // elsewhere there is no libgomp, or no second start

using namespace rcnn::fixtures;

namespace {

/// GOMP_SPINCOUNT for each time that libgomp was loaded, from what it prints for OMP_DISPLAY_ENV=verbose.
std::vector<long> spin_counts(const std::string& text) {
  const std::string key = "GOMP_SPINCOUNT = '";
  std::vector<long> counts;
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1))
    counts.push_back(std::stol(text.substr(at + key.size())));
  return counts;
}

}  // namespace

TEST_CASE("waiting: threads of the program spin briefly, or as long as the user says") {
  const auto program = find_program();
  if (program.empty()) return;
  Environment environment;
  environment.remove("OMP_WAIT_POLICY");
  environment.remove("GOMP_SPINCOUNT");
  environment.set("OMP_DISPLAY_ENV", "verbose");
  const auto start = [&] {
    const Finished run = run_program(program, {"--version"});
    CAPTURE(run.err);
    CHECK(run.status == 0);
    CHECK(run.out.starts_with("rcnn "));
    return spin_counts(run.err);
  };
  const std::vector<long> chosen = start();
  REQUIRE(chosen.size() == 2);  // the program starts itself again, once
  CHECK(chosen[0] > 0);
  CHECK(chosen[1] >= 100);
  CHECK(chosen[1] <= 100'000);

  environment.set("GOMP_SPINCOUNT", "7777");
  CHECK(start() == std::vector<long>{7777});
  environment.remove("GOMP_SPINCOUNT");
  environment.set("OMP_WAIT_POLICY", "passive");
  CHECK(start() == std::vector<long>{0});
}

#endif
