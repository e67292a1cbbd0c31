#if defined(RCNN_RACE_CHECK)

#include "core/cuda/sim/source_lines.h"

#include <fmt/format.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "core/cuda/sim/access_shadow.h"

namespace rcnn::cuda_sim {
namespace {

constexpr size_t kAtOnce = 4000;  // positions in one command

/// The distance between the addresses that the linker assigned and those at which the program was loaded.
uintptr_t program_shift() {
  uintptr_t shift = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {  // the first one is the program
        *static_cast<uintptr_t*>(result) = info->dlpi_addr;
        return 1;
      },
      &shift);
  return shift;
}

/// The output of a command; "" if it cannot be run.
std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char part[512];
  while (fgets(part, sizeof part, pipe) != nullptr) output += part;
  pclose(pipe);
  return output;
}

/// Takes the next line from the front of a text.
std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

}  // namespace

std::vector<SourceLine> source_lines(const std::vector<uint32_t>& positions) {
  std::vector<SourceLine> result(positions.size());
  std::vector<uintptr_t> addresses;
  // A position is the address after the access.
  for (const uint32_t position : positions)
    addresses.push_back(reinterpret_cast<uintptr_t>(&__executable_start) + position - 1 - program_shift());
  char program[4096], folder[4096];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program);
  const std::string_view name(program, length > 0 ? static_cast<size_t>(length) : 0);
  const std::string here = getcwd(folder, sizeof folder) == nullptr ? "" : std::string(folder) + "/";
  for (size_t first = 0; first < addresses.size(); first += kAtOnce) {
    const size_t end = std::min(addresses.size(), first + kAtOnce);
    std::string lines;
    if (!name.empty() && name.find('\'') == name.npos) {
      std::string command = fmt::format("addr2line -a -i -e '{}'", name);
      for (size_t i = first; i < end; ++i) command += fmt::format(" {:#x}", addresses[i]);
      lines = output_of(command + " 2>/dev/null");
    }
    // For each address the address itself, then the innermost inlined function's line, then the others'. The
    // first line that belongs to the project outside of the simulation is the place.
    std::string_view rest = lines;
    size_t next = first;
    while (!rest.empty()) {
      std::string_view place = next_line(rest);
      if (place.starts_with("0x")) {
        ++next;
        continue;
      }
      if (next == first || next > end) continue;
      place = place.substr(0, place.find(' '));  // "(discriminator 3)" may follow
      if (place.find("core/cuda/sim/") != place.npos || place.find("/include/c++/") != place.npos) continue;
      if (place.starts_with("?") || place.ends_with("?")) continue;
      if (!here.empty() && place.starts_with(here)) place.remove_prefix(here.size());
      while (place.starts_with("./")) place.remove_prefix(2);
      SourceLine& line = result[next - 1];
      const auto file = [](std::string_view text) { return text.substr(0, text.rfind(':')); };
      if (line.place.empty())
        line.place = place;
      else if (line.caller.empty() && file(place) != file(line.place))
        line.caller = place;
    }
  }
  for (size_t i = 0; i < result.size(); ++i)
    if (result[i].place.empty()) result[i].place = fmt::format("{:#x} of the program", addresses[i]);
  return result;
}

}  // namespace rcnn::cuda_sim

#endif
