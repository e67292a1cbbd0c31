#!/bin/sh
# Prints where the CUDA toolkit is, as Makefile assignments: NVCC, CUDA_INCLUDE, CUDART, and, where these libraries
# are installed, CUDNN and CUBLAS. Looks in CUDA_HOME, on the PATH, in /usr/local/cuda and in Python's packages.
# Prints nothing if there is no toolkit.
set -u

find_nvcc() {
  if [ -n "${CUDA_HOME:-}" ] && [ -x "$CUDA_HOME/bin/nvcc" ]; then
    echo "$CUDA_HOME/bin/nvcc"
  elif command -v nvcc >/dev/null 2>&1; then
    command -v nvcc
  elif [ -x /usr/local/cuda/bin/nvcc ]; then
    echo /usr/local/cuda/bin/nvcc
  else
    for base in $(python3 -c 'import site, sys; print(*site.getsitepackages(), site.getusersitepackages())' 2>/dev/null); do
      for nvcc in "$base"/nvidia/cu*/bin/nvcc "$base"/nvidia/cuda_nvcc/bin/nvcc; do
        [ -x "$nvcc" ] && echo "$nvcc" && return
      done
    done
  fi
}

nvcc=$(find_nvcc)
[ -n "$nvcc" ] || exit 0
nvcc=$(readlink -f "$nvcc")
home=$(dirname "$(dirname "$nvcc")")

# Python's packages for CUDA 12 keep each library in a separate folder next to that of nvcc. Everywhere else
# all libraries are in one folder.
homes="$home $(dirname "$home")/cuda_runtime $(dirname "$home")/cublas $(dirname "$home")/cudnn"
include='' libdirs='' cudnn='' cublas=''
for h in $homes; do
  for dir in "$h/include" "$h/targets/x86_64-linux/include" "$h/targets/sbsa-linux/include"; do
    [ -d "$dir" ] || continue
    include="$include -isystem $dir"
    [ -f "$dir/cudnn.h" ] && cudnn=1
    [ -f "$dir/cublas_v2.h" ] && cublas=1
  done
  for dir in "$h/lib64" "$h/lib" "$h/targets/x86_64-linux/lib" "$h/targets/sbsa-linux/lib"; do
    [ -d "$dir" ] && libdirs="$libdirs $dir"
  done
done

# library NAME: the flags that link it. Python's packages have libNAME.so.MAJOR, but no link libNAME.so.
library() {
  for dir in $libdirs /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu; do
    for file in "$dir/lib$1.so" "$dir/lib$1.so".[0-9]*; do
      [ -e "$file" ] || continue
      echo "-L$dir -Wl,-rpath,$dir -l:$(basename "$file")"
      return
    done
  done
}

echo "NVCC := $nvcc"
echo "CUDA_INCLUDE :=$include"
echo "CUDART := $(library cudart)"
[ -z "$cudnn" ] || echo "CUDNN := $(library cudnn)"
[ -z "$cublas" ] || echo "CUBLAS := $(library cublas)"
