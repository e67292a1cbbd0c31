// What the counts of `rcnn lab explain` mean: bounds and advice.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "bench/lab_explain.h"
#include "core/error.h"

namespace rcnn {
namespace {

using cuda_sim::AccessCount;
using cuda_sim::AccessKind;
using cuda_sim::LaunchCount;

constexpr double kSectorsPerClock = 4;  // of 32 bytes: what a multiprocessor's first-level cache delivers
constexpr double kWorthALine = 0.05;    // of a launch's clocks

/// The figures that are scaled from the counted blocks to all, and summed over launches.
constexpr double LaunchWork::*kWork[] = {
    &LaunchWork::requests, &LaunchWork::sectors,   &LaunchWork::min_sectors,
    &LaunchWork::turns,    &LaunchWork::min_turns, &LaunchWork::lanes,
    &LaunchWork::places,   &LaunchWork::read,      &LaunchWork::read_block};

double number(uint64_t count) { return static_cast<double>(count); }

/// Clocks for which a line keeps a multiprocessor's memory pipeline busy, on the counted blocks.
double clocks_of(const AccessCount& a) {
  return a.shared ? number(a.turns) : std::max(number(a.requests), number(a.sectors) / kSectorsPerClock);
}

double clocks_of(const LaunchCount& launch) {
  double clocks = 0;
  for (const AccessCount& access : launch.accesses) clocks += clocks_of(access);
  return clocks;
}

double scale_of(const LaunchCount& launch) {
  return launch.counted > 0 ? number(launch.blocks()) / number(launch.counted) : 0;
}

/// The work of the busiest multiprocessor as a multiple of the mean.
double last_wave(const Card& card, const LaunchCount& launch) {
  const double blocks = number(launch.blocks());
  return blocks > 0 ? std::ceil(blocks / card.multiprocessors) * card.multiprocessors / blocks : 1;
}

/// The text of "kernels/gemm/conv2d_direct.cu:33", without the blanks around it; "" if it cannot be read.
std::string source_text(const std::filesystem::path& root, const std::string& place) {
  const size_t colon = place.rfind(':');
  if (root.empty() || colon == std::string::npos) return "";
  std::ifstream file(root / place.substr(0, colon));
  std::string line;
  for (int left = std::atoi(place.c_str() + colon + 1); left > 0; --left)
    if (!std::getline(file, line)) return "";
  const size_t begin = line.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : line.substr(begin);
}

std::string place_text(const AccessCount& a) {
  return a.caller.empty() ? a.place : fmt::format("{}, from {}", a.place, a.caller);
}

/// "32 reads of 4 bytes"
std::string what_text(const AccessCount& a) {
  const char* verb = a.kind == AccessKind::read    ? "reads"
                     : a.kind == AccessKind::write ? "writes"
                     : a.kind == AccessKind::copy  ? "asynchronous copies"
                                                   : "atomic changes";
  return fmt::format("{:.3g} {} of {} bytes", number(a.lanes) / number(a.requests), verb, a.bytes);
}

/// Sentences on one line, without its place.
std::vector<std::string> faults_of(const AccessCount& a) {
  std::vector<std::string> faults;
  const double requests = number(a.requests);
  const std::string apart =
      a.stride > 0 ? fmt::format(", because they are {} bytes apart", a.stride) : std::string();
  if (!a.shared && number(a.sectors) > 1.5 * number(a.min_sectors))
    faults.push_back(fmt::format(
        "each warp's {} touch {:.3g} sectors of 32 bytes{}; the same bytes side by side would touch {:.3g}",
        what_text(a), number(a.sectors) / requests, apart, number(a.min_sectors) / requests));
  if (a.kind == AccessKind::atomic && number(a.turns) > 2 * requests)
    faults.push_back(fmt::format("up to {:.3g} of a warp's {} meet at one place and take turns",
                                 number(a.turns) / requests, what_text(a)));
  else if (a.shared && number(a.turns) > 1.1 * number(a.min_turns))
    faults.push_back(fmt::format(
        "each warp's {} take {:.3g} turns of the banks of shared memory{}; {:.3g} would do if no two of a "
        "turn lay in one bank: pad the rows by a word, or let the column depend on the row",
        what_text(a), number(a.turns) / requests, apart, number(a.min_turns) / requests));
  if (number(a.lanes) < 0.75 * number(a.places))
    faults.push_back(fmt::format("only {:.3g} of {:.3g} lanes take part on average",
                                 number(a.lanes) / requests, number(a.places) / requests));
  if (a.bytes == 4 && a.stride == 4 && a.kind != AccessKind::atomic)
    faults.push_back(
        "neighbouring lanes take 4 bytes each: vectors of 16 bytes need a quarter of the instructions, where "
        "addresses allow them");
  return faults;
}

const char* kind_text(AccessKind kind) {
  return kind == AccessKind::read    ? "read"
         : kind == AccessKind::write ? "write"
         : kind == AccessKind::copy  ? "copy"
                                     : "atomic";
}

std::string blocks_on(const Card& card, const LaunchCount& launch) {
  const unsigned warps = (launch.block[0] * launch.block[1] * launch.block[2] + 31) / 32;
  const auto room = static_cast<size_t>(card.shared) * 1024;
  const size_t need = launch.shared + 1024;  // of which 1 KiB is the system's
  if (need > room)
    return fmt::format("no block fits on a multiprocessor of {}: it needs {} bytes of shared memory",
                       card.name, launch.shared);
  const unsigned by_shared = static_cast<unsigned>(room / need);
  const unsigned by_warps = static_cast<unsigned>(card.warps) / std::max(1u, warps);
  const auto by_blocks = static_cast<unsigned>(card.blocks);
  const unsigned fit = std::min({by_shared, by_warps, by_blocks});
  return fmt::format(
      "{} ({} of {} warps) of a multiprocessor of {} at a time at most, by {}; registers may allow fewer",
      fit == 1 ? "1 block" : fmt::format("{} blocks", fit), fit * warps, card.warps, card.name,
      fit == by_warps    ? "its warps"
      : fit == by_shared ? "its shared memory"
                         : "its number of blocks");
}

}  // namespace

LaunchWork work_of(const LaunchCount& launch) {
  LaunchWork work;
  for (const AccessCount& a : launch.accesses) {
    work.lanes += number(a.lanes);
    work.places += number(a.places);
    if (a.shared) {
      work.turns += number(a.turns);
      work.min_turns += number(a.min_turns);
    } else {
      work.requests += number(a.requests);
      work.sectors += number(a.sectors);
      work.min_sectors += number(a.min_sectors);
    }
  }
  work.read = number(launch.read);
  work.read_block = number(launch.read_block);
  const double scale = scale_of(launch);
  for (double LaunchWork::*member : kWork) work.*member *= scale;
  return work;
}

LaunchWork work_of(const ExplainedVariant& explained) {
  LaunchWork sum;
  for (const LaunchCount& launch : explained.launches) {
    const LaunchWork work = work_of(launch);
    for (double LaunchWork::*member : kWork) sum.*member += work.*member;
  }
  return sum;
}

Bound bound_on(const Card& card, const ExplainedVariant& explained) {
  Bound bound;
  double accesses = 0, largest = -1;
  for (const LaunchCount& launch : explained.launches) {
    const double clocks = clocks_of(launch) * scale_of(launch);
    const double wave = last_wave(card, launch);
    accesses += clocks * wave / (card.multiprocessors * card.clock * 1e9);
    if (clocks > largest) largest = clocks, bound.last_wave = wave;
  }
  const double products = explained.flop / (card.peak(explained.precision) * 1e12) * bound.last_wave;
  const double memory = explained.bytes / (card.bandwidth * 1e9);
  bound.seconds = std::max({products, memory, accesses});
  bound.limit = bound.seconds == products ? "products" : bound.seconds == memory ? "memory" : "accesses";
  return bound;
}

std::vector<std::string> advice_on(const Card& card, const LaunchCount& launch,
                                   const std::filesystem::path& root) {
  std::vector<std::string> advice;
  std::vector<const AccessCount*> order;
  for (const AccessCount& access : launch.accesses) order.push_back(&access);
  std::ranges::stable_sort(order, [](const auto* a, const auto* b) { return clocks_of(*a) > clocks_of(*b); });
  const double all = clocks_of(launch);
  for (const AccessCount* access : order) {
    const double share = all > 0 ? clocks_of(*access) / all : 0;
    if (share < kWorthALine) continue;
    for (const std::string& fault : faults_of(*access)) {
      const std::string text = source_text(root, access->place);
      advice.push_back(fmt::format("{}: {} ({:.0f} % of the clocks for accesses){}", place_text(*access),
                                   fault, share * 100, text.empty() ? "" : "\n      " + text));
    }
  }
  if (number(launch.read) >= 3 * number(launch.read_block) && launch.read > 0)
    advice.push_back(fmt::format(
        "each block reads each of its bytes of global memory {:.3g} times: keep them in shared memory or "
        "registers, or let a thread make several results of one read",
        number(launch.read) / number(launch.read_block)));
  if (launch.counted == launch.blocks() && number(launch.read_block) >= 2 * number(launch.read_all) &&
      launch.read_all > 0)
    advice.push_back(fmt::format("each byte is read by {:.3g} blocks: larger tiles would share more of them",
                                 number(launch.read_block) / number(launch.read_all)));
  const uint64_t blocks = launch.blocks();
  if (blocks < static_cast<uint64_t>(card.multiprocessors))
    advice.push_back(fmt::format("the grid has {} blocks: {} of the {} multiprocessors of {} have none",
                                 blocks, static_cast<uint64_t>(card.multiprocessors) - blocks,
                                 card.multiprocessors, card.name));
  else if (last_wave(card, launch) > 1.15)
    advice.push_back(
        fmt::format("{} blocks on {} multiprocessors of {}: the busiest have {:.0f} % more than the mean",
                    blocks, card.multiprocessors, card.name, (last_wave(card, launch) - 1) * 100));
  return advice;
}

std::string explained_text(const ExplainedVariant& explained, const Card& card,
                           const std::filesystem::path& root) {
  std::string text;
  for (const LaunchCount& launch : explained.launches) {
    const auto size = [](const unsigned(&s)[3]) { return fmt::format("({}, {}, {})", s[0], s[1], s[2]); };
    text += fmt::format(
        "  {}, grid {}, block {}, {} bytes of shared memory; {} of {} blocks counted, {} barriers\n",
        launch.kernel, size(launch.grid), size(launch.block), launch.shared, launch.counted, launch.blocks(),
        launch.barriers);
    text += fmt::format("  {}\n", blocks_on(card, launch));
    text += fmt::format("  {:>7} {:>6} {:>6} {:>10} {:>6} {:>8} {:>6} {:>6} {:>6}  {}\n", "clocks", "",
                        "bytes", "requests", "lanes", "sectors", "min", "turns", "min", "line");
    const double all = clocks_of(launch);
    size_t left_out = 0;
    for (const AccessCount& a : launch.accesses) {
      if (clocks_of(a) < 0.01 * all) {
        ++left_out;
        continue;
      }
      const auto each = [&](uint64_t sum) {
        return sum == 0 ? std::string("-") : fmt::format("{:.3g}", number(sum) / number(a.requests));
      };
      text += fmt::format("  {:>6.1f}% {:>6} {:>4} {} {:>10} {:>6} {:>8} {:>6} {:>6} {:>6}  {}\n",
                          clocks_of(a) / all * 100, kind_text(a.kind), a.bytes, a.shared ? "s" : "g",
                          a.requests, each(a.lanes), each(a.sectors), each(a.min_sectors), each(a.turns),
                          each(a.min_turns), place_text(a));
    }
    if (left_out > 0) text += fmt::format("  and {} lines below 1 % each\n", left_out);
    text += fmt::format("  global memory: {} bytes read in requests, {} by different blocks, {} different\n",
                        launch.read, launch.read_block, launch.read_all);
    for (const std::string& sentence : advice_on(card, launch, root)) text += "    - " + sentence + "\n";
  }
  text += "  upper bounds on the speed, by published figures:\n";
  for (const Card& each : kCards) {
    const Bound bound = bound_on(each, explained);
    text += fmt::format("    {:<5} not below {:>9.4g} ms", each.name, bound.seconds * 1e3);
    if (explained.flop > 0)
      text += fmt::format(", at most {:>8.5g} GFLOP/s", explained.flop / bound.seconds * 1e-9);
    text += fmt::format(", by {}; busiest multiprocessor {:.2f} of the mean\n", bound.limit, bound.last_wave);
  }
  return text;
}

}  // namespace rcnn
