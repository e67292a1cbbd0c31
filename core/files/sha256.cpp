#include "core/files/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <vector>

#include "core/error.h"
#include "core/files/source_file.h"

namespace rcnn {

// OpenSSL's functions return 1 on success; with valid arguments they fail only if memory runs out.
Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
        "SHA-256 is not available from the OpenSSL library.");
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

void Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA-256 failed in OpenSSL.");
}

std::string Sha256::hex() const {
  const std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());  // finishing uses a context up
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  check(copy != nullptr && EVP_MD_CTX_copy_ex(copy.get(), context_.get()) == 1 &&
            EVP_DigestFinal_ex(copy.get(), digest.data(), &length) == 1,
        "SHA-256 failed in OpenSSL.");
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + length, ""));
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

std::string sha256_hex(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string sha256_hex_of_file(const std::filesystem::path& path) {
  const SourceFile file(path);
  Sha256 digest;
  std::vector<std::byte> piece(size_t{1} << 20);
  for (uint64_t at = 0; const size_t read = file.read_up_to(at, piece.data(), piece.size()); at += read)
    digest.update(std::span(piece).first(read));
  return digest.hex();
}

}  // namespace rcnn
