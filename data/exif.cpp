#include "data/exif.h"

#include <libexif/exif-data.h>

#include <limits>
#include <memory>
#include <vector>

namespace rcnn {

int exif_orientation(std::span<const uint8_t> tiff) {
  std::vector<uint8_t> block = {'E', 'x', 'i', 'f', 0, 0};  // libexif requires this prefix
  block.insert(block.end(), tiff.begin(), tiff.end());
  if (block.size() > std::numeric_limits<unsigned int>::max()) return 1;

  const std::unique_ptr<ExifData, decltype(&exif_data_unref)> data(exif_data_new(), exif_data_unref);
  if (!data) return 1;
  // This option would add entries that the file does not have.
  exif_data_unset_option(data.get(), EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
  exif_data_load_data(data.get(), block.data(), static_cast<unsigned int>(block.size()));

  const ExifEntry* entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
  if (entry == nullptr || entry->components < 1) return 1;
  const ExifByteOrder order = exif_data_get_byte_order(data.get());
  uint32_t value = 0;
  if (entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
    value = exif_get_short(entry->data, order);
  else if (entry->format == EXIF_FORMAT_LONG && entry->size >= 4)  // against the standard, but not rare
    value = exif_get_long(entry->data, order);
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

}  // namespace rcnn
