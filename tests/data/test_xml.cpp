#include "data/xml.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// The text of <a> in a file that declares the encoding and has these bytes in <a>.
std::string decoded(const std::string& encoding, const std::string& bytes) {
  const std::string xml = "<?xml version=\"1.0\" encoding=\"" + encoding + "\"?>\n<a>" + bytes + "</a>";
  const std::vector<uint8_t> file(xml.begin(), xml.end());
  return parse_xml(file, "a.xml").child("a").text().get();
}

std::string text_of(std::string_view file) {
  return parse_xml(std::vector<uint8_t>(file.begin(), file.end()), "a.xml").child("a").text().get();
}

}  // namespace

TEST_CASE("xml: the declared encoding is converted to UTF-8") {
  CHECK(decoded("UTF-8", "b\xC3\xA4r") == "b\xC3\xA4r");
  CHECK(decoded("windows-1252", "b\xE4r \x80") == "b\xC3\xA4r \xE2\x82\xAC");
  CHECK(decoded("ISO-8859-1", "b\xE4r") == "b\xC3\xA4r");
  CHECK(decoded("iso-8859-2", "\xB3") == "\xC5\x82");  // l with stroke
  CHECK(decoded("koi8-r", "\xEB\xCF\xD4") == "\xD0\x9A\xD0\xBE\xD1\x82");
  const std::string cat = "\xE7\x8C\xAB";  // U+732B
  CHECK(decoded("GB2312", "\xC3\xA8") == cat);
  CHECK(decoded("gbk", "\xC3\xA8") == cat);
  CHECK(decoded("GB2312", "\x90\x5C") == "\xE6\x80\xBD");  // not in GB2312, but Windows means GBK
  CHECK(decoded("GB18030", "\xC3\xA8") == cat);
  CHECK(decoded("Shift_JIS", "\x94\x4C") == cat);
  CHECK(decoded("Shift_JIS", "\x87\x40") == "\xE2\x91\xA0");  // only in CP932
  CHECK(decoded("EUC-JP", "\xC7\xAD") == cat);
  CHECK(decoded("ISO-2022-JP", "\x1B$BG-\x1B(B") == cat);
  CHECK(decoded("Big5", "\xBF\xDF") == "\xE8\xB2\x93");
  CHECK(decoded("EUC-KR", "\xB0\xED") == "\xEA\xB3\xA0");
  // The spellings of Python and Windows.
  for (const char* name : {"latin-1", "latin_1", "Latin1", "L1", "iso8859-1", "iso_8859_1", "8859-1", "ANSI",
                           "cp1252", "Windows_1252"})
    CHECK(decoded(name, "b\xE4r") == "b\xC3\xA4r");
  for (const char* name : {"utf_8", "utf8", "cp65001", "UTF-8-SIG", "us-ascii"})
    CHECK(decoded(name, "b\xC3\xA4r") == "b\xC3\xA4r");
  CHECK(decoded("iso8859_15", "\xA4") == "\xE2\x82\xAC");
  CHECK(decoded("shift-jis", "\x94\x4C") == cat);
  CHECK(decoded("mac-roman", "\x8A") == "\xC3\xA4");
}

TEST_CASE("xml: a declaration in any of its forms") {
  CHECK(text_of("<?xml version='1.0' encoding = 'windows-1252' standalone='yes' ?><a>\xE4</a>") ==
        "\xC3\xA4");
  CHECK(text_of("<?xml version='1.0'?><a>\xC3\xA4</a>") == "\xC3\xA4");
  CHECK(text_of("\xEF\xBB\xBF<?xml version='1.0' encoding='windows-1252'?><a>\xC3\xA4</a>") == "\xC3\xA4");
  CHECK(text_of("<a>encoding='windows-1252' \xC3\xA4</a>") == "encoding='windows-1252' \xC3\xA4");
  // Bytes that are not UTF-8 stay as they are.
  CHECK(text_of("<a>\xE4</a>") == "\xE4");
}

TEST_CASE("xml: UTF-16 and UTF-32, with and without a byte order mark") {
  const std::u16string text = u"<?xml version='1.0' encoding='UTF-16'?><a>\u732B \U0001F408</a>";
  const std::string cats = "\xE7\x8C\xAB \xF0\x9F\x90\x88";
  for (const bool mark : {true, false})
    for (const bool big : {true, false}) {
      std::string narrow;
      for (const char16_t unit : (mark ? u"\uFEFF" : u"") + text) {
        const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 255);
        narrow += big ? high : low;
        narrow += big ? low : high;
      }
      CHECK(text_of(narrow) == cats);
    }
  std::string wide;
  for (const char32_t unit : std::u32string(U"\uFEFF<a>\U0001F408</a>"))
    for (int shift = 0; shift < 32; shift += 8) wide += static_cast<char>(unit >> shift);
  CHECK(text_of(wide) == "\xF0\x9F\x90\x88");
  // .NET declares UTF-16 in files that it saves as UTF-8.
  CHECK(decoded("utf-16", "\xE7\x8C\xAB") == "\xE7\x8C\xAB");
}

TEST_CASE("xml: an unknown encoding, and bytes that do not belong to the declared one") {
  const auto refusal = [](const std::string& encoding, const std::string& bytes) {
    const std::string sentence = input_error([&] { decoded(encoding, bytes); });
    CHECK(sentence.starts_with("a.xml "));
    CHECK(sentence.back() == '.');
    return sentence;
  };
  CHECK(contains(refusal("klingon", "a"), "declares the encoding 'KLINGON', which is unknown"));
  CHECK(contains(refusal("latin1//IGNORE", "a"), "unknown"));
  CHECK(contains(refusal("../../x", "a"), "unknown"));
  CHECK(contains(refusal("\x1B[2J", "a"), "'\\x1B[2J'"));
  CHECK(contains(refusal("EUC-JP", "ab\xFF"),
                 "in the encoding 'EUC-JP', to which its bytes from number 46 on"));
  CHECK(contains(refusal("Shift_JIS", "a\x94"), "do not belong"));
  CHECK(contains(input_error([&] { text_of("<a>"); }), "a.xml is not readable XML"));
}

TEST_CASE("xml: a long text is converted whole") {
  std::string bytes, expected;
  for (int i = 0; i < 5000; ++i) {
    bytes += "\xE4x\xFC";
    expected += "\xC3\xA4x\xC3\xBC";
  }
  CHECK(decoded("windows-1252", bytes) == expected);
}
