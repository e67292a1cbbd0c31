#include "core/files/sha256.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

// The vectors are the examples of FIPS 180-4 (NIST CAVP).
TEST_CASE("sha256: published digests") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256: pieces give the same digest as the whole, and hex() does not end the digest") {
  Sha256 digest;
  CHECK(digest.hex() == sha256_hex(""));
  digest.update("a");
  CHECK(digest.hex() == sha256_hex("a"));
  digest.update("");
  digest.update("bc");
  CHECK(digest.hex() == sha256_hex("abc"));
}

TEST_CASE("sha256: a file, longer than one piece, and one that is missing") {
  const TemporaryFolder folder;
  const std::string content(3'000'001, 'z');
  write_text(folder / "file", content);
  CHECK(sha256_hex_of_file(folder / "file") == sha256_hex(content));
  CHECK(contains(input_error([&] { sha256_hex_of_file(folder / "none"); }), (folder / "none").string()));
  CHECK(contains(input_error([&] { sha256_hex_of_file(folder.path()); }), "is not a regular file"));
}
