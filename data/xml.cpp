#include "data/xml.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"

namespace rcnn {
namespace {

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

/// The encoding in the declaration `<?xml version="1.0" encoding="..."?>` at the beginning of a text, in
/// upper case; empty if there is none.
std::string declared_encoding(std::string_view text) {
  if (!text.starts_with("<?xml")) return {};
  text = text.substr(0, text.find('>'));
  constexpr std::string_view kKey = "encoding";
  const size_t key = text.find(kKey);
  if (key == std::string_view::npos) return {};
  text = trim(text.substr(key + kKey.size()));
  if (!text.starts_with('=')) return {};
  text = trim(text.substr(1));
  if (text.empty() || (text[0] != '"' && text[0] != '\'')) return {};
  const size_t end = text.find(text[0], 1);
  return end == std::string_view::npos ? std::string() : upper_case(trim(text.substr(1, end - 1)));
}

/// The encoding of UTF-16 or UTF-32 that the first bytes show: a byte order mark, or the zeros around "<".
/// Empty if one byte is one character of the declaration.
std::string wide_encoding(std::string_view text) {
  using namespace std::string_view_literals;
  constexpr std::pair<std::string_view, const char*> kStarts[] = {
      {"\x00\x00\xFE\xFF"sv, "UTF-32BE"},
      {"\xFF\xFE\x00\x00"sv, "UTF-32LE"},
      {"\xFE\xFF"sv, "UTF-16BE"},
      {"\xFF\xFE"sv, "UTF-16LE"},
      {"\x00\x00\x00<"sv, "UTF-32BE"},
      {"<\x00\x00\x00"sv, "UTF-32LE"},
      {"\x00<"sv, "UTF-16BE"},
      {"<\x00"sv, "UTF-16LE"},
  };
  for (const auto& [start, name] : kStarts)
    if (text.starts_with(start)) return name;
  return {};
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](const char* start) { return name.starts_with(start); });
}

/// iconv's name for what a declaration means; empty for UTF-8. A text whose declaration can be read byte by
/// byte is not UTF-16, whatever it says: .NET writes that into files that it then saves as UTF-8.
///
/// Names are compared by their letters and digits alone: programs write them in their own spelling, Python
/// utf_8 and latin-1, Windows cp65001.
std::string meant_encoding(const std::string& declared) {
  std::string name;
  for (const char c : declared)
    if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) name += c;
  if (name.empty() && !declared.empty()) return declared;  // which iconv refuses
  if (name.empty() || starts_with_any(name, {"UTF8", "USASCII", "ASCII", "UTF16", "UTF32", "UCS", "UNICODE",
                                             "ISO10646", "CP65001", "65001", "U8"}))
    return {};
  if (starts_with_any(name, {"GB2312", "GBK", "CSGB2312", "CP936", "MS936", "WINDOWS936"})) return "GB18030";
  if (starts_with_any(name, {"SHIFTJIS", "SJIS", "XSJIS", "WINDOWS31J", "CP932", "MS932"})) return "CP932";
  if (starts_with_any(name, {"EUCKR", "KSC5601", "WINDOWS949", "CP949", "MS949"})) return "CP949";
  if (name == "BIG5" || name == "CP950" || name == "MS950") return "CP950";
  if (name == "ANSI") return "CP1252";  // what Windows calls it in most of the West
  if (name == "LATIN1" || name == "L1") return "ISO-8859-1";
  if (name == "LATIN9" || name == "LATIN0") return "ISO-8859-15";
  if (name == "MACROMAN" || name == "MACINTOSH") return "MACINTOSH";
  for (const std::string_view series : {"ISO8859", "8859"})
    if (name.starts_with(series)) return fmt::format("ISO-8859-{}", name.substr(series.size()));
  for (const std::string_view series : {"WINDOWS125", "CP125", "MS125", "XCP125"})
    if (name.starts_with(series) && name.size() == series.size() + 1)
      return fmt::format("CP125{}", name.back());
  return declared;
}

/// Converts with iconv. `file` and `declared` are for messages.
std::string convert(std::string_view text, const std::string& encoding, const std::string& file,
                    const std::string& declared) {
  struct Closer {
    void operator()(iconv_t state) const { iconv_close(state); }
  };
  // Other characters, such as the slashes of iconv's suffixes, do not occur in names of encodings.
  const bool is_name =
      encoding.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+()") == std::string::npos;
  const iconv_t opened = is_name ? iconv_open("UTF-8", encoding.c_str()) : reinterpret_cast<iconv_t>(-1);
  check_input(opened != reinterpret_cast<iconv_t>(-1),
              "{} declares the encoding '{}', which is unknown here; save the file as UTF-8.", file,
              escaped(declared));
  const std::unique_ptr<void, Closer> state(opened);

  std::string result;
  std::array<char, 4096> buffer;
  auto* from = const_cast<char*>(text.data());  // iconv does not write to it, but takes it without const
  size_t left = text.size();
  for (bool more = true; more;) {
    char* to = buffer.data();
    size_t room = buffer.size();
    const bool at_end = left == 0;
    const size_t done =
        at_end ? iconv(opened, nullptr, nullptr, &to, &room) : iconv(opened, &from, &left, &to, &room);
    result.append(buffer.data(), buffer.size() - room);
    check_input(
        done != static_cast<size_t>(-1) || errno == E2BIG,
        "{} is in the encoding '{}', to which its bytes from number {} on do not belong; save the file as "
        "UTF-8.",
        file, escaped(declared), text.size() - left + 1);
    more = !at_end || done == static_cast<size_t>(-1);
  }
  return result;
}

}  // namespace

std::string decode_xml(std::span<const uint8_t> bytes, const std::string& file) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) return std::string(text.substr(kMark.size()));
  if (const std::string wide = wide_encoding(text); !wide.empty()) {
    std::string converted = convert(text, wide, file, wide);
    return converted.starts_with(kMark) ? converted.substr(kMark.size()) : converted;
  }
  const std::string declared = declared_encoding(text), encoding = meant_encoding(declared);
  return encoding.empty() ? std::string(text) : convert(text, encoding, file, declared);
}

pugi::xml_document parse_xml(std::span<const uint8_t> bytes, const std::string& file) {
  const std::string text = decode_xml(bytes, file);
  pugi::xml_document document;
  const pugi::xml_parse_result parsed =
      document.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  check_input(parsed, "{} is not readable XML ({} at byte {}).", file, parsed.description(), parsed.offset);
  return document;
}

}  // namespace rcnn
