#!/bin/sh
# Packs what `make gpu-bundle` has built into one archive, which runs on another x86-64 machine without being built
# there: the program and the tests, every library that they need except glibc, the scripts that check and measure a
# GPU, and the first losses of a training on this machine's CPU. That machine needs glibc as new as this one's; with
# an NVIDIA driver it computes on the GPU, and without it on the CPU.
#
#     tools/gpu_bundle.sh BUILD ARCHIVE        build/gpu-bundle build/gpu-bundle.tar.xz
set -eu
cd "$(dirname "$0")/.."
build=$1
archive=$2
max_size=$((30 * 1000 * 1000)) # bytes, of the archive

fail() {
  echo "gpu_bundle.sh: $1" >&2
  exit 1
}

name=rcnn-gpu
folder=$build/$name
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib" "$folder/licenses"

for program in rcnn rcnn_tests; do
  strip -o "$folder/bin/$program" "$build/$program"
done

# ---- libraries: those of the programs, and those that they need in turn ---------------------------------------------
# glibc belongs to the system's loader, and the driver's libraries to the system's driver.
ldd "$build/rcnn" "$build/rcnn_tests" | grep 'not found' && fail "the programs lack these libraries"
ldd "$build/rcnn" "$build/rcnn_tests" | awk '$2 == "=>" { print $1, $3 }' | sort -u |
  grep -vE '^(libc|libm|libdl|librt|libpthread|ld-linux[^.]*|libcuda)\.so' |
  while read -r soname file; do
    cp -L "$file" "$folder/lib/$soname"
    package=$(dpkg -S "$(readlink -f "$file")" 2>/dev/null | head -n 1 | cut -d: -f1)
    [ -z "$package" ] || cp -L "/usr/share/doc/$package/copyright" "$folder/licenses/$package"
  done
strip --strip-unneeded "$folder"/lib/*

# ---- scripts, and the files that tests read -------------------------------------------------------------------------
cp -R --parents tools examples bench/*.py bench/cards.h tests/*.py tests/bench/*.py tests/tools/*.py tests/parity/expected tests/fuzz/corpus \
  tests/kernels/digests.txt tests/core/cuda/intrinsics.txt tests/models/test_new_backbone.cpp "$folder/"
cp -R docs LICENSE "$folder/"
find "$folder" -name __pycache__ -exec rm -r {} +
rm -rf "$folder/docs/images"
git describe --always --dirty --tags >"$folder/commit" 2>/dev/null || echo unreleased >"$folder/commit"

cat >"$folder/rcnn" <<'END'
#!/bin/sh
# Starts bin/rcnn such that it finds cuDNN and cuBLAS among Python's packages. It runs without them as well.
here=$(dirname "$(readlink -f "$0")")
found=$(python3 -c 'import glob, site
print(*(d for b in [*site.getsitepackages(), site.getusersitepackages()] for d in sorted(glob.glob(b + "/nvidia/*/lib"))), sep=":")' 2>/dev/null)
LD_LIBRARY_PATH=${found:+$found:}${LD_LIBRARY_PATH:-}
export LD_LIBRARY_PATH
exec "$here/bin/rcnn" "$@"
END
chmod +x "$folder/rcnn"
cat >"$folder/README.txt" <<'END'
rcnn.cu, built for NVIDIA GPUs (sm_80, sm_90a; PTX for later ones) and for processors with AVX2.

    tools/gpu_first.py     checks and measures it on this machine's GPU in at most seven minutes
    ./rcnn --help          the program
    bin/rcnn_tests         the tests; on a machine without a GPU they use the processor only

docs/gpu.md says more. lib/ holds the libraries of other projects, licenses/ their licences.
END

# ---- the losses that a GPU is compared with -------------------------------------------------------------------------
python3 "$folder/tools/gpu_record.py"

tar -C "$build" --owner=0 --group=0 --sort=name -cf - "$name" | xz -9e >"$archive"
size=$(wc -c <"$archive")
echo "$archive: $size bytes; unpacked $(du -sm "$folder" | cut -f1) MiB"
[ "$size" -le "$max_size" ] || fail "$archive has $size bytes; expected at most $max_size"
