#include "bench/checkout.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace rcnn {

namespace fs = std::filesystem;

fs::path find_checkout(const fs::path& start) {
  std::error_code none;
  for (fs::path folder = fs::absolute(start.empty() ? fs::current_path() : start, none);;
       folder = folder.parent_path()) {
    if (fs::is_regular_file(folder / "kernels/ops.h", none) && fs::is_regular_file(folder / "Makefile", none))
      return folder;
    if (!folder.has_relative_path()) return {};
  }
}

std::string read_source(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  check_input(file.good() && !fs::is_directory(path), "{}: cannot be read", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

VariantSources::VariantSources(const fs::path& root) {
  for (const auto& entry : fs::recursive_directory_iterator(root / "kernels")) {
    const fs::path& path = entry.path();
    if (path.extension() != ".cpp" && path.extension() != ".cu") continue;
    std::ifstream file(path);
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      constexpr std::string_view kBegin = "void ";
      if (!line.starts_with(kBegin)) continue;
      const size_t end = line.find_first_of("(<", kBegin.size());
      if (end == std::string::npos || line.find("Stream&") == std::string::npos || line.ends_with(";"))
        continue;
      definitions_.push_back(
          {line.substr(kBegin.size(), end - kBegin.size()), {fs::relative(path, root), number}});
    }
  }
}

SourcePlace VariantSources::find(const std::string& op, const std::string& variant, bool on_cuda) const {
  const auto of = [&](const std::string& function) -> SourcePlace {
    // Of two functions of one name, `matmul_tiled` for both devices say, the one in a file for this device.
    const Definition* best = nullptr;
    for (const Definition& definition : definitions_) {
      if (definition.function != function) continue;
      const bool cuda_file = definition.place.file.extension() == ".cu";
      if (!best || cuda_file == on_cuda) best = &definition;
    }
    return best ? best->place : SourcePlace{};
  };
  SourcePlace place = of(op + "_" + variant);
  if (const size_t last = variant.rfind('_'); place.line == 0 && last != std::string::npos)
    place = of(op + "_" + variant.substr(0, last));
  return place;
}

}  // namespace rcnn
