#include "core/pipeline.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "core/rng.h"

using namespace rcnn;

namespace {

using Numbers = std::vector<int64_t>;

Numbers first_numbers(int64_t count) {
  Numbers numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

/// A different short time for each item and stage, so that items overtake each other.
void take_time(int64_t i, uint32_t stage) {
  RandomSequence random(1, Purpose::test, static_cast<uint32_t>(i) * 2 + stage);
  std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000)));
}

/// Waits until `reached` holds, at most ten seconds; returns whether it does.
template <class Reached>
bool wait_for(const Reached& reached) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!reached() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  return reached();
}

/// The items that were reported before the exception of `run`, and its message.
struct Failed {
  Numbers reported;
  std::string message;
};

/// Runs ten items, of which those in `preparing`, `using_it` and `finishing` fail in that stage.
Failed run_with_faults(int threads, const Numbers& preparing, const Numbers& using_it,
                       const Numbers& finishing) {
  const auto fail_if = [](const Numbers& faults, int64_t i, const char* stage) {
    if (std::find(faults.begin(), faults.end(), i) != faults.end())
      throw std::runtime_error(stage + std::to_string(i));
    return i;
  };
  Failed result;
  try {
    run_pipeline(
        10, threads,
        [&](int64_t i) {
          take_time(i, 0);
          return fail_if(preparing, i, "prepare ");
        },
        [&](int64_t i, int64_t) { return fail_if(using_it, i, "use "); },
        [&](int64_t i, int64_t) {
          take_time(i, 1);
          return fail_if(finishing, i, "finish ");
        },
        [&](int64_t i, int64_t) { result.reported.push_back(i); });
  } catch (const std::runtime_error& error) {
    result.message = error.what();
  }
  return result;
}

}  // namespace

TEST_CASE("pipeline: items are used and reported in order on the calling thread, and keep their values") {
  const auto here = std::this_thread::get_id();
  for (const int threads : {0, 1, 2, 5})
    for (const int64_t count : {0, 1, 2, 40}) {
      CAPTURE(threads);
      CAPTURE(count);
      Numbers used, reported;
      std::atomic<int> elsewhere = 0;
      run_pipeline(
          count, threads,
          [&](int64_t i) {
            take_time(i, 0);
            if (std::this_thread::get_id() != here) ++elsewhere;
            return std::make_unique<int64_t>(10 * i);  // items need not be copyable
          },
          [&](int64_t i, std::unique_ptr<int64_t> item) {
            CHECK(std::this_thread::get_id() == here);
            CHECK(*item == 10 * i);
            used.push_back(i);
            return std::make_unique<std::string>(std::to_string(*item));
          },
          [&](int64_t i, std::unique_ptr<std::string> text) {
            take_time(i, 1);
            if (std::this_thread::get_id() != here) ++elsewhere;
            return *text + "!";
          },
          [&](int64_t i, const std::string& text) {
            CHECK(std::this_thread::get_id() == here);
            CHECK(text == std::to_string(10 * i) + "!");
            reported.push_back(i);
          });
      CHECK(used == first_numbers(count));
      CHECK(reported == used);
      CHECK(elsewhere == (threads == 0 ? 0 : 2 * count));
    }
}

TEST_CASE("pipeline: the next item is prepared and the last one finished while an item is used") {
  std::atomic<int64_t> preparing = -1, finishing = -1;
  std::atomic<bool> second_used = false;
  run_pipeline(
      2, 1,
      [&](int64_t i) {
        preparing = i;
        return i;
      },
      [&](int64_t i, int64_t) {
        if (i == 0) CHECK(wait_for([&] { return preparing == 1; }));
        if (i == 1) {
          CHECK(wait_for([&] { return finishing == 0; }));
          second_used = true;
        }
        return i;
      },
      [&](int64_t i, int64_t) {
        finishing = i;
        if (i == 0) CHECK(wait_for([&] { return second_used.load(); }));
        return i;
      },
      [](int64_t, int64_t) {});
}

TEST_CASE("pipeline: the number of items in memory is bounded, whichever stage is slow") {
  for (const int threads : {0, 1, 3})
    for (int slow = 0; slow < 3; ++slow) {
      CAPTURE(threads);
      CAPTURE(slow);
      std::atomic<int> items = 0;
      int largest = 0;
      const auto pause = [&](int stage) {
        if (stage == slow) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      };
      run_pipeline(
          30, threads,
          [&](int64_t i) {
            ++items;
            pause(0);
            return i;
          },
          [&](int64_t i, int64_t) {
            pause(1);
            largest = std::max<int>(largest, items);
            return i;
          },
          [&](int64_t i, int64_t) {
            pause(2);
            return i;
          },
          [&](int64_t, int64_t) {
            largest = std::max<int>(largest, items);
            --items;
          });
      CHECK(items == 0);
      CHECK(largest <= max_in_pipeline(threads));
      if (slow == 1 && threads > 0) CHECK(largest > threads);  // the others run ahead
    }
}

TEST_CASE("pipeline: an exception is rethrown when its item's turn comes, after the items before it") {
  for (const int threads : {0, 1, 4}) {
    CAPTURE(threads);
    const auto check_failed = [&](const Failed& failed, int64_t reported, const char* message) {
      CHECK(failed.reported == first_numbers(reported));
      CHECK(failed.message == message);
    };
    check_failed(run_with_faults(threads, {3}, {}, {}), 3, "prepare 3");
    check_failed(run_with_faults(threads, {}, {3}, {}), 3, "use 3");
    check_failed(run_with_faults(threads, {}, {}, {3}), 3, "finish 3");
    check_failed(run_with_faults(threads, {0}, {0}, {0}), 0, "prepare 0");
    check_failed(run_with_faults(threads, {9}, {}, {}), 9, "prepare 9");
    check_failed(run_with_faults(threads, {}, {}, {9}), 9, "finish 9");
    // The first of the items decides, also if a later one failed earlier.
    check_failed(run_with_faults(threads, {5}, {}, {4}), 4, "finish 4");
    check_failed(run_with_faults(threads, {}, {3}, {2}), 2, "finish 2");
    check_failed(run_with_faults(threads, {6, 7}, {8}, {9}), 6, "prepare 6");
    check_failed(run_with_faults(threads, {}, {}, {}), 10, "");
  }
}

TEST_CASE("background threads: what has not begun is dropped at the end, and what has begun is waited for") {
  std::atomic<bool> begun = false, done = false, dropped = true;
  {
    BackgroundThreads threads(1);
    threads.run([&] {
      begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      done = true;
    });
    threads.run([&] { dropped = false; });
    CHECK(wait_for([&] { return begun.load(); }));
  }
  CHECK(done);
  CHECK(dropped);
}
