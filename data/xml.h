// XML files in the encodings that annotation programs write.
#pragma once

#include <cstdint>
#include <pugixml.hpp>
#include <span>
#include <string>

namespace rcnn {

/// The text of an XML file as UTF-8. The encoding is that of the file's byte order mark, or of the
/// declaration in its first line (<?xml encoding="windows-1252"?>), or else UTF-8. Of the declared encodings,
/// glibc's iconv(3) knows about a hundred. Three are read as the supersets that Windows means by their names:
/// GB2312 and GBK as GB18030, Shift_JIS as CP932, EUC-KR as CP949.
///
/// Bytes that are declared to be UTF-8, or about which nothing is declared, are returned unchanged, even if
/// they are not UTF-8: a name of a file may be right with them. Throws InputError naming `file` if the
/// encoding is unknown or if bytes do not belong to it.
std::string decode_xml(std::span<const uint8_t> bytes, const std::string& file);

/// Decodes and parses the bytes of an XML file. Throws InputError naming `file` if they cannot be decoded or
/// parsed.
pugi::xml_document parse_xml(std::span<const uint8_t> bytes, const std::string& file);

}  // namespace rcnn
