#include "bench/machine_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The file of kernels/ that has this kernel: the one that launches it, or the only other one with a kernel
/// of this name, without its template arguments. Empty if there is none, or more than one.
fs::path source_of(const LaunchedKernel& kernel, const fs::path& root) {
  const std::string name = sass_name(kernel.name);
  const std::regex definition("__global__[^;{]*\\b" + name.substr(0, name.find('<')) + "\\(");
  const auto has = [&](const fs::path& path) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return text.find("__global__") != std::string::npos && std::regex_search(text, definition);
  };
  if (!kernel.file.empty() && has(root / kernel.file)) return kernel.file;
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(root / "kernels"))
    if (entry.path().extension() == ".cu" && has(entry.path()))
      found.push_back(fs::relative(entry.path(), root));
  return found.size() == 1 ? found.front() : fs::path();
}

std::string quoted(const std::string& word) {
  return "'" + std::regex_replace(word, std::regex("'"), "'\\''") + "'";
}

/// What a command prints, with its errors; whether it has succeeded.
std::pair<std::string, bool> output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {"the command could not be started\n", false};
  char part[512];
  while (fgets(part, sizeof part, pipe) != nullptr) output += part;
  return {output, pclose(pipe) == 0};
}

}  // namespace

std::string sass_name(const std::string& name) {
  std::string text = name;
  const auto replace = [&](const char* pattern, const char* by) {
    text = std::regex_replace(text, std::regex(pattern), by);
  };
  replace("\\b(\\w+::)+", "");
  replace("\\(\\w+\\)(?=-?\\d)", "");  // the type of an enumerator
  replace(" ", "");
  return text;
}

std::string machine_code_text(const std::vector<LaunchedKernel>& kernels, const fs::path& root) {
  const fs::path tool = root / "tools/sass_report.py";
  if (root.empty() || !fs::exists(tool)) return "";
  std::set<std::string> objects, missing, old;
  std::vector<std::string> patterns;
  for (const LaunchedKernel& kernel : kernels) {
    const std::string name = sass_name(kernel.name);
    const fs::path source = source_of(kernel, root);
    if (source.empty()) continue;
    const fs::path object = root / "build/release-cuda" / (source.string() + ".o");
    if (!fs::exists(object)) {
      missing.insert(source.string());
    } else if (fs::last_write_time(object) < fs::last_write_time(root / source)) {
      old.insert(source.string());
    } else {
      objects.insert(object.string());
      std::string pattern =
          fmt::format("{}:{}@{}+{}", source.stem().string(), name, kernel.threads, kernel.shared);
      if (std::ranges::find(patterns, pattern) == patterns.end()) patterns.push_back(std::move(pattern));
    }
  }
  std::string text;
  for (const auto& [files, why] :
       {std::pair(&missing, "has not compiled"), {&old, "has compiled an older form of"}})
    for (const std::string& file : *files)
      text += fmt::format(
          "  machine code: nvcc {} {}; `make cuda-report CUDA_ARCHS=90a` does (it needs no GPU)\n", why,
          file);
  if (objects.empty()) return text;
  std::string command = "python3 " + quoted(tool.string());
  for (const std::string& object : objects) command += " " + quoted(object);
  command += " --explain";
  for (const std::string& pattern : patterns) command += " " + quoted(pattern);
  const auto [output, complete] = output_of(command);
  text += complete ? "  machine code, by nvcc; clocks and shares are estimates:\n"
                   : "  machine code, by nvcc; tools/sass_report.py has not found all of it:\n";
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) text += "    " + line + "\n";
  return text;
}

}  // namespace rcnn
