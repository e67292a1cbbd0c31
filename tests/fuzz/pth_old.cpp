// The pickles that every file of the old form begins with are of no interest to a fuzzer. An input without
// them is used as the rest of such a file.
#include "core/files/pth_old.h"

#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/targets.h"

void rcnn::fuzz::pth_old(const std::filesystem::path& file) {
  using namespace std::string_literals;
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (is_old_pth(file)) {
    read_old_pth(file);
    return;
  }
  const std::string whole = "\x80\2\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19.\x80\2M\xE9\3."s +
                            "\x80\2}X\r\0\0\0little_endian\x88s."s + bytes;
  read_old_pth(MemoryFile(std::as_bytes(std::span(whole))).path());
}
