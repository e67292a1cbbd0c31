#!/bin/sh
# Installs what is missing for building and testing on Debian 12 or Ubuntu 24.04 (and their like), and does
# nothing where nothing is. On another system it prints what is needed and ends with 1.
set -eu

# package: what it is for
requirements() {
  cat <<'END'
g++: the compiler (C++20)
make: the build
git: the commit that `rcnn --version` prints
libdnnl-dev: oneDNN, convolutions and matrix products on the CPU (not needed with ONEDNN=0)
libfmt-dev: fmt, text output
libcli11-dev: CLI11, the command line
libtomlplusplus-dev: toml++, configuration files
libpugixml-dev: pugixml, Pascal VOC annotations
libexif-dev: libexif, the orientation of photographs
libsimdjson-dev: simdjson, headers of weights files
nlohmann-json3-dev: nlohmann-json, metrics, summaries and detections
libzip-dev: libzip, PyTorch's weights files (.pth)
libstb-dev: stb, JPEG and PNG images, and drawing of text
libboost-context-dev: Boost.Context, the threads of simulated kernels (make CUDA=sim)
libssl-dev: OpenSSL's libcrypto, SHA-256 of weights
fonts-dejavu-core: DejaVu Sans Bold, the font of the labels drawn on detections
doctest-dev: doctest, the tests
ccache: repeated builds in less time (optional)
clang-format: `make lint` (optional)
shellcheck: `make lint` (optional)
python3: the scripts in tools/ and bench/ (optional)
END
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  {
    echo "setup.sh knows apt alone. Install these by your system's own means (the names are Debian's):"
    requirements | sed 's/^/  /'
  } >&2
  exit 1
fi

packages=$(requirements | sed 's/:.*//')
# shellcheck disable=SC2086 # one word a package
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)
missing=$(for package in $packages; do
  printf '%s\n' "$installed" | grep -qxF "installed $package" || echo "$package"
done)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    # shellcheck disable=SC2086
    echo "setup.sh needs root to install:" $missing >&2
    exit 1
  fi
  as_root=sudo
fi
# shellcheck disable=SC2086
echo "installing:" $missing
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
