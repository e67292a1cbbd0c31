#include "core/files/other_formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace rcnn {
namespace {

using namespace std::string_view_literals;

constexpr const char* kConvert =
    "expected safetensors or PyTorch's .pth, which the program that wrote it can perhaps export";

struct Magic {
  std::string_view bytes;
  size_t at;  // where the file has them
  const char* what;
};
constexpr Magic kMagics[] = {
    {"\x89HDF\r\n\x1A\n"sv, 0, "is an HDF5 file (.h5), as Keras and TensorFlow write"},
    {"GGUF"sv, 0, "is a GGUF file, as llama.cpp writes"},
    {"TFL3"sv, 4, "is a TensorFlow Lite model"},
    {"\x93NUMPY"sv, 0, "is a NumPy array (.npy)"},
    {"\x1F\x8B"sv, 0, "is compressed with gzip: unpack it first"},
    {"BZh"sv, 0, "is compressed with bzip2: unpack it first"},
    {"\xFD"
     "7zXZ\0"sv,
     0, "is compressed with xz: unpack it first"},
    {"\x28\xB5\x2F\xFD"sv, 0, "is compressed with zstd: unpack it first"},
    {"7z\xBC\xAF\x27\x1C"sv, 0, "is a 7z archive: unpack it first"},
    {"Rar!\x1A\x07"sv, 0, "is a RAR archive: unpack it first"},
    {"\xFF\xD8\xFF"sv, 0, "is a JPEG image"},
    {"\x89PNG"sv, 0, "is a PNG image"},
    {"\x7F"
     "ELF"sv,
     0, "is a program or a library"},
    {"%PDF"sv, 0, "is a PDF document"},
};

/// `text` begins with `word`, which is in lower case, whatever its own case is.
bool begins_with(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(), [](char w, char t) {
           return w == static_cast<char>(std::tolower(static_cast<unsigned char>(t)));
         });
}

/// The number in "size 123" of a Git LFS pointer; empty if it has none.
std::string_view lfs_size(std::string_view text) {
  const size_t at = text.find("\nsize ");
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + 6);
  return rest.substr(0, rest.find_first_not_of("0123456789"));
}

/// ONNX is a protobuf message without a fixed start: its first field is the version of the format, a small
/// number, and the next the name of the program that wrote it, or another field of ModelProto.
bool is_onnx(std::string_view start) {
  return start.size() > 8 && start[0] == 8 && start[1] > 0 && start[1] < 32 &&
         "\x12\x1A\x22\x2A\x32\x3A\x42"sv.find(start[2]) != std::string_view::npos;
}

bool is_text(std::string_view start) {
  return !start.empty() && std::all_of(start.begin(), start.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 32 ? byte != 127 : c == '\n' || c == '\r' || c == '\t';
  });
}

}  // namespace

std::string name_other_format(std::string_view start, uint64_t size) {
  start = start.substr(0, kFormatBytes);
  if (size == 0) return "is empty: the download or the copy failed";
  for (const Magic& magic : kMagics)
    if (start.size() >= magic.at + magic.bytes.size() &&
        start.substr(magic.at, magic.bytes.size()) == magic.bytes)
      return fmt::format("{}; {}", magic.what, kConvert);
  if (start.size() > 262 && start.substr(257, 5) == "ustar")
    return "is a tar archive. If it is a .pth of PyTorch's first versions (0.1), PyTorch converts it: "
           "torch.save(torch.load(FILE, map_location=\"cpu\"), \"new.pth\"). Otherwise unpack it first";
  if (start.size() > 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5)
    return "is a Python pickle (.pkl), as Detectron2 publishes its models, and not a file of torch.save. "
           "Loading a pickle runs the code in it, so it is not read; load it in Python where you trust it "
           "and "
           "save the tensors with torch.save or as safetensors";
  if (is_onnx(start))
    return "is an ONNX model: a graph of operations whose weights have lost their names. Expected the .pth "
           "or "
           "safetensors file that it was exported from";

  std::string_view text = start;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (begins_with(text, "<!doctype") || begins_with(text, "<html") || begins_with(text, "<?xml") ||
      begins_with(text, "<!--") || begins_with(text, "<head"))
    return "is a web page (HTML) and not weights: the server answered the download with a page, perhaps "
           "because it wants a login or a confirmation, or a quota is used up. Open the address in a "
           "browser, "
           "and download again";
  if (text.starts_with("version https://git-lfs.github.com/"))
    return fmt::format(
        "is a Git LFS pointer: {} bytes of text that stand for the real file{}. `git lfs pull` in the "
        "repository fetches it",
        size, lfs_size(text).empty() ? "" : fmt::format(", which has {} bytes", lfs_size(text)));
  if (is_text(start) && (text.starts_with('{') || text.starts_with('[')))
    return "is a JSON text and not weights, perhaps a server's message or a list of the parts of a model. "
           "Expected safetensors or PyTorch's .pth";
  if (is_text(start)) return "is a text file and not weights; expected safetensors or PyTorch's .pth";
  return {};
}

std::string name_other_archive(std::string_view record) {
  if (record.ends_with(".npy")) return fmt::format("holds NumPy arrays (.npz); {}", kConvert);
  if (record.ends_with(".weights.h5")) return fmt::format("is a Keras model (.keras); {}", kConvert);
  if (record.ends_with("/constants.pkl") || record.find("/code/") != std::string_view::npos)
    return "is a TorchScript program (torch.jit.save), in which a model's code and weights are mixed. In "
           "Python, torch.save(torch.jit.load(FILE, map_location=\"cpu\").state_dict(), \"new.pth\") takes "
           "the "
           "weights out";
  return {};
}

}  // namespace rcnn
