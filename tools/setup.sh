#!/bin/sh
# Installs the packages that are missing for building and testing on Debian 12, Ubuntu 24.04 and similar systems. Does
# nothing if all are installed. On other systems it prints which packages are needed and exits with 1.
set -eu

# Prints one line per package: its name and what it is for.
requirements() {
  cat <<'END'
g++: the compiler (C++20)
make: the build
git: the commit that `rcnn --version` prints
libdnnl-dev: oneDNN, convolutions and matrix products on the CPU (not needed with make ONEDNN=0)
libfmt-dev: fmt, text output
libcli11-dev: CLI11, the command line
libtomlplusplus-dev: toml++, configuration files
libpugixml-dev: pugixml, Pascal VOC annotations
libyaml-cpp-dev: yaml-cpp, the data.yaml of YOLO datasets
libexif-dev: libexif, the orientation of photographs
libsimdjson-dev: simdjson, the headers of weights files
nlohmann-json3-dev: nlohmann-json, metrics, summaries and detections
libzip-dev: libzip, PyTorch's weights files (.pth)
libjpeg-dev: libjpeg-turbo, JPEG images (not needed with make LIBJPEG=0, which leaves them to stb)
libwebp-dev: libwebp, WebP images (not needed with make LIBWEBP=0)
libtiff-dev: libtiff, TIFF images (not needed with make LIBTIFF=0)
libopenmpi-dev: Open MPI, training on several machines (not needed with make MPI=0)
openmpi-bin: mpirun, which starts it there (likewise)
libgloo-dev: Gloo, the same without MPI (not needed with make GLOO=0)
libstb-dev: stb, PNG images, and drawing text
libboost-context-dev: Boost.Context, the threads of simulated kernels (make CUDA=sim)
libssl-dev: libcrypto of OpenSSL, the SHA-256 of weights
fonts-dejavu-core: DejaVu Sans Bold, the font of the labels drawn on detections
doctest-dev: doctest, the tests
ccache: faster repeated builds (optional)
clang-format: `make lint` (optional)
shellcheck: `make lint` (optional)
python3: the scripts in tools/ and bench/ (optional)
END
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  {
    echo "setup.sh works with apt only. Install these packages with your system's package manager (the names are Debian's):"
    requirements | sed 's/^/  /'
  } >&2
  exit 1
fi

packages=$(requirements | sed 's/:.*//')
# shellcheck disable=SC2086 # one word per package
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)
missing=$(for package in $packages; do
  printf '%s\n' "$installed" | grep -qxF "installed $package" || echo "$package"
done)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    # shellcheck disable=SC2086
    echo "setup.sh needs to be run as root to install:" $missing >&2
    exit 1
  fi
  as_root=sudo
fi
# shellcheck disable=SC2086
echo "installing:" $missing
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
