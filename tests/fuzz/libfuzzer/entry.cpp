// The entry point of libFuzzer. It is compiled once for each target, with -DRCNN_FUZZ_TARGET=NAME.
#include <cstdint>
#include <span>

#include "core/error.h"
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const rcnn::fuzz::MemoryFile file(std::as_bytes(std::span(data, size)));
  try {
    rcnn::fuzz::RCNN_FUZZ_TARGET(file.path());
  } catch (const rcnn::InputError&) {
  }
  return 0;
}
