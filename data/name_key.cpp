#include "data/name_key.h"

#include <cstddef>
#include <cstdint>

#include "core/text.h"

namespace rcnn {
namespace {

/// A combining mark, and pairs of a letter and that letter with the mark.
struct Mark {
  char32_t mark;
  std::u32string_view pairs;
};

// clang-format off
constexpr Mark kMarks[] = {
    {0x300,
     U"AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜЕЀИЍеѐиѝÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳ"},
    {0x301,
     U"AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘΑΆΕΈΗΉΙΊΟΌΥΎΩΏϊΐαάεέηήιίϋΰοόυύωώ"
     U"ГЃКЌгѓкќÂẤâấĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứ"},
    {0x302,
     U"AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷẠẬạậẸỆẹệỌỘọộ"},
    {0x303,
     U"AÃNÑOÕaãnñoõIĨiĩUŨuũÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ"},
    {0x304,
     U"AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖ"},
    {0x306,
     U"AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўẠẶạặ"},
    {0x307,
     U"CĊcċEĖeėGĠgġIİZŻzż"},
    {0x308,
     U"AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸΙΪΥΫιϊυϋЕЁІЇеёії"},
    {0x309,
     U"AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ"},
    {0x30A,
     U"AÅaåUŮuů"},
    {0x30B,
     U"OŐoőUŰuű"},
    {0x30C,
     U"CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚ"},
    {0x31B,
     U"OƠoơUƯuư"},
    {0x323,
     U"AẠaạEẸeẹIỊiịOỌoọƠỢơợUỤuụƯỰưựYỴyỵ"},
    {0x326,
     U"SȘsșTȚtț"},
    {0x327,
     U"CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţ"},
    {0x328,
     U"AĄaąEĘeęIĮiįUŲuų"},
};
// clang-format on

/// Kana follow each other in pairs, or in threes in the row of ha: without a mark, with the voiced sound mark
/// and with the semi-voiced one. Katakana lie 0x60 above hiragana.
char32_t compose_kana(char32_t letter, char32_t mark) {
  const char32_t hiragana = letter >= 0x30A1 && letter <= 0x30FA ? letter - 0x60 : letter;
  const bool is_ha = hiragana >= 0x306F && hiragana <= 0x307B && (hiragana - 0x306F) % 3 == 0;
  if (mark == 0x309A) return is_ha ? letter + 2 : 0;
  if (mark != 0x3099) return 0;
  if (hiragana == 0x3046) return letter + 0x4E;
  const bool ka_to_chi = hiragana >= 0x304B && hiragana <= 0x3061 && hiragana % 2 == 1;
  const bool tsu_to_to = hiragana >= 0x3064 && hiragana <= 0x3068 && hiragana % 2 == 0;
  return is_ha || ka_to_chi || tsu_to_to ? letter + 1 : 0;
}

/// Korean syllables are numbered by their leading consonant, vowel and trailing consonant.
char32_t compose_korean(char32_t first, char32_t second) {
  if (first >= 0x1100 && first < 0x1113 && second >= 0x1161 && second < 0x1176)
    return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28;
  const bool has_no_trail = first >= 0xAC00 && first < 0xD7A4 && (first - 0xAC00) % 28 == 0;
  return has_no_trail && second > 0x11A7 && second < 0x11C3 ? first + (second - 0x11A7) : 0;
}

/// The character that two make; 0 if they stay two.
char32_t compose(char32_t first, char32_t second) {
  if (second < 0x300) return 0;
  for (const Mark& mark : kMarks) {
    if (mark.mark != second) continue;
    for (size_t i = 0; i + 1 < mark.pairs.size(); i += 2)
      if (mark.pairs[i] == first) return mark.pairs[i + 1];
  }
  const char32_t kana = compose_kana(first, second);
  return kana != 0 ? kana : compose_korean(first, second);
}

char32_t to_lower(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within('A', 'Z') || (within(0xC0, 0xDE) && c != 0xD7) || within(0x391, 0x3AB) || within(0x410, 0x42F))
    return c + 32;
  if (within(0x400, 0x40F)) return c + 80;
  if (within(0x388, 0x38A)) return c + 37;
  if (within(0x38E, 0x38F)) return c + 63;
  if (c == 0x386) return 0x3AC;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x178) return 0xFF;
  // The others are neighbours of their capitals.
  const bool is_odd = c % 2 == 1;
  if (within(0x139, 0x148) || within(0x179, 0x17E) || within(0x1CD, 0x1DC) || c == 0x1AF)
    return is_odd ? c + 1 : c;
  if (within(0x100, 0x137) || within(0x14A, 0x177) || within(0x218, 0x21B) || within(0x1EA0, 0x1EF9) ||
      c == 0x1A0)
    return is_odd || c == 0x130 ? c : c + 1;
  return c;
}

/// The characters of a text in UTF-8.
std::u32string decode(std::string_view text) {
  std::u32string characters;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<uint8_t>(text[i]);
    const size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    char32_t character = length == 1 ? first : first & (0x7F >> length);
    for (size_t k = 1; k < length; ++k)
      character = character << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3F);
    characters += character;
    i += length;
  }
  return characters;
}

void append(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  const char32_t lead = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
  text += static_cast<char>(lead | c >> (6 * more));
  for (int shift = 6 * (more - 1); shift >= 0; shift -= 6)
    text += static_cast<char>(0x80 | (c >> shift & 0x3F));
}

}  // namespace

std::string name_key(std::string_view name) {
  if (!is_utf8(name)) return lower_case(std::string(name));
  std::u32string composed;
  for (const char32_t character : decode(name))
    if (const char32_t both = composed.empty() ? 0 : compose(composed.back(), character); both != 0)
      composed.back() = both;
    else
      composed += character;
  std::string key;
  for (const char32_t character : composed) append(key, to_lower(character));
  return key;
}

}  // namespace rcnn
