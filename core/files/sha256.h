// SHA-256 digests (FIPS 180-4), computed by OpenSSL. They tell whether two weights files are the same.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace rcnn {

/// A digest of bytes that arrive in pieces.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// The digest of everything so far as 64 lower-case hexadecimal digits; more bytes may follow.
  std::string hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

/// The digest of a file's content, as `sha256sum` prints it. Throws InputError naming the file if it cannot
/// be read.
std::string sha256_hex_of_file(const std::filesystem::path& path);

}  // namespace rcnn
