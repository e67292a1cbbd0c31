// Names of files that are the same for a person, and differ in their bytes.
#pragma once

#include <string>
#include <string_view>

namespace rcnn {

/// The name in lower case, with letters and their marks composed into one character, as Windows and Linux
/// write them and macOS does not. Knows the marks of the Latin, Greek and Cyrillic letters of Europe and of
/// Vietnamese, those of Japanese kana, and the syllables of Korean; other characters, and a name that is not
/// UTF-8, keep their form.
std::string name_key(std::string_view name);

}  // namespace rcnn
