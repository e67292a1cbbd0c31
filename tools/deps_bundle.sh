#!/bin/sh
# Fills third_party_bundle/ with what the project needs besides a compiler: headers, shared libraries and the
# font of the labels. They are copied from this machine's packages (x86-64), which tools/setup.sh installs. On a
# machine without a package registry, `make DEPS=third_party_bundle ONEDNN=0` builds with that folder alone; it
# needs glibc 2.35 or newer, as in Ubuntu 22.04. libwebp and libtiff, without which WebP and TIFF images are not read, and
# Open MPI are left out.
#
#     tools/deps_bundle.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
bundle=${1:-third_party_bundle}
max_size=$((20 * 1024)) # KiB

fail() {
  echo "deps_bundle.sh: $1" >&2
  exit 1
}

[ "$(uname -m)" = x86_64 ] || fail "the bundle is for x86-64, but this machine is $(uname -m)"
command -v objdump >/dev/null || fail "objdump is missing; it comes with the package binutils"

rm -rf "$bundle"
mkdir -p "$bundle/include/stb" "$bundle/lib" "$bundle/share" "$bundle/licenses"

# ---- headers ------------------------------------------------------------------------------------------------------
for header in fmt CLI toml++ nlohmann openssl doctest libexif pugixml.hpp pugiconfig.hpp yaml-cpp simdjson.h zip.h zipconf.h \
  jpeglib.h jmorecfg.h jerror.h; do
  [ -e "/usr/include/$header" ] || fail "/usr/include/$header is missing; sh tools/setup.sh installs it"
  cp -RL "/usr/include/$header" "$bundle/include/"
done
for header in stb_image.h stb_image_write.h stb_truetype.h; do
  cp -L "/usr/include/stb/$header" "$bundle/include/stb/"
done
# Debian keeps headers that depend on the architecture in a separate folder.
multiarch=/usr/include/$(g++ -print-multiarch)
for header in "$multiarch"/openssl/*.h; do
  [ ! -e "$header" ] || cp -L "$header" "$bundle/include/openssl/"
done
for header in "$multiarch/jconfig.h" /usr/include/jconfig.h; do
  [ ! -e "$header" ] || cp -L "$header" "$bundle/include/"
done

# ---- libraries ----------------------------------------------------------------------------------------------------
# newest PREFIX FILE: the highest version of PREFIX_x.y that the library requires from the system.
newest() {
  objdump -T "$2" | grep -oE "\b$1_[0-9.]+" | sort -uV | tail -1
}
# at_most PREFIX LIMIT FILE: fails if the library requires a version of PREFIX that is newer than LIMIT.
at_most() {
  found=$(newest "$1" "$3")
  [ "$(printf '%s\n' "$found" "$1_$2" | sort -V | tail -1)" = "$1_$2" ] ||
    fail "$3 needs $found; expected at most $1_$2, because the other machine may have nothing newer"
}
for name in fmt pugixml yaml-cpp exif simdjson zip crypto jpeg; do
  library=$(g++ -print-file-name="lib$name.so")
  [ -e "$library" ] || fail "lib$name.so is missing; sh tools/setup.sh installs it"
  library=$(readlink -f "$library")
  at_most GLIBC 2.35 "$library"
  at_most GLIBCXX 3.4.30 "$library"
  at_most CXXABI 1.3.13 "$library"
  soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
  cp -L "$library" "$bundle/lib/$soname"
  # -lNAME finds this file. It is a linker script, because symbolic links are often lost when a folder is copied.
  echo "INPUT(-l:$soname)" >"$bundle/lib/lib$name.so"
done

# ---- the font and the licences ------------------------------------------------------------------------------------
font=
for file in /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf /usr/share/fonts/TTF/DejaVuSans-Bold.ttf \
  /usr/share/fonts/dejavu/DejaVuSans-Bold.ttf; do
  [ -n "$font" ] || [ ! -e "$file" ] || font=$file
done
[ -n "$font" ] || fail "DejaVuSans-Bold.ttf is missing; sh tools/setup.sh installs it"
cp -L "$font" "$bundle/share/"
for package in libfmt-dev libcli11-dev libtomlplusplus-dev libpugixml-dev libyaml-cpp-dev libexif-dev libsimdjson-dev libzip-dev nlohmann-json3-dev \
  libjpeg-dev libstb-dev libssl-dev doctest-dev fonts-dejavu-core; do
  [ ! -e "/usr/share/doc/$package/copyright" ] ||
    cp -L "/usr/share/doc/$package/copyright" "$bundle/licenses/$package"
done

size=$(du -sk "$bundle" | cut -f1)
[ "$size" -le "$max_size" ] || fail "$bundle has $size KiB; expected at most $max_size"
echo "$bundle: $size KiB"
