#!/bin/sh
# Prints where the CUDA toolkit is, as Makefile assignments: NVCC, CUDA_INCLUDE, CUDART (the flags that link it), and
# the files CUDNN, CUBLAS and NCCL_FILE if they are installed with their headers. Prints nothing if there is no nvcc.
#
# nvcc is looked for in CUDA_HOME, on the PATH, in /usr/local/cuda and in Python's packages; the libraries beside nvcc
# first, then in Python's packages, where PyTorch puts them.
set -u

# Python's folders of packages, one on a line.
packages=$(python3 -c 'import site; print(*site.getsitepackages(), site.getusersitepackages(), sep="\n")' 2>/dev/null)

find_nvcc() {
  if [ -n "${CUDA_HOME:-}" ] && [ -x "$CUDA_HOME/bin/nvcc" ]; then
    echo "$CUDA_HOME/bin/nvcc"
  elif command -v nvcc >/dev/null 2>&1; then
    command -v nvcc
  elif [ -x /usr/local/cuda/bin/nvcc ]; then
    echo /usr/local/cuda/bin/nvcc
  else
    for base in $packages; do
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
major=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\).*/\1/p')

# The toolkit is one folder. Python's packages for CUDA 13 are one folder, cu13, with cuDNN and NCCL beside it; those
# for CUDA 12 are a folder for each library. Libraries of another major version than that of nvcc are not taken.
homes=$home
for base in $(dirname "$home") $(echo "$packages" | sed '/./s|$|/nvidia|'); do
  if [ "$major" = 12 ]; then
    homes="$homes $base/cuda_runtime $base/cublas"
  else
    homes="$homes $base/cu$major"
  fi
  homes="$homes $base/cudnn $base/nccl"
done

# folders_of HOME KIND: the folders of a home that hold headers or libraries, those that exist.
folders_of() {
  case $2 in
    headers) set -- "$1/include" "$1/targets/x86_64-linux/include" "$1/targets/sbsa-linux/include" ;;
    *) set -- "$1/lib64" "$1/lib" "$1/targets/x86_64-linux/lib" "$1/targets/sbsa-linux/lib" ;;
  esac
  for dir in "$@"; do
    [ ! -d "$dir" ] || echo "$dir"
  done
}

# library HEADER NAME: "HEADERS FILE", the folder of the header and the library, from the first home that has both.
# Python's packages have libNAME.so.MAJOR, but no link libNAME.so.
library() {
  for h in $homes; do
    for dir in $(folders_of "$h" headers); do
      [ -f "$dir/$1" ] || continue
      for libdir in $(folders_of "$h" libraries) /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu; do
        for file in "$libdir/lib$2.so" "$libdir/lib$2.so".[0-9]*; do
          [ -e "$file" ] || continue
          echo "$dir $file"
          return
        done
      done
    done
  done
}

include=
for dir in $(folders_of "$home" headers) $(folders_of "$(dirname "$home")/cuda_runtime" headers); do
  include="$include -isystem $dir"
done
assignments=
for row in 'CUDNN cudnn.h cudnn' 'CUBLAS cublas_v2.h cublas' 'NCCL_FILE nccl.h nccl'; do
  variable=${row%% *}
  # shellcheck disable=SC2046,SC2086 # each is two words
  set -- $(library ${row#* })
  [ $# = 2 ] || continue
  case "$include " in *" $1 "*) ;; *) include="$include -isystem $1" ;; esac
  assignments="$assignments$variable := $2
"
done

# The runtime is linked statically, so that a program runs where there is only a driver.
cudart=
for h in $homes; do
  for dir in $(folders_of "$h" libraries); do
    if [ -z "$cudart" ] && [ -f "$dir/libcudart_static.a" ]; then
      cudart="$dir/libcudart_static.a -lrt -ldl"
    fi
  done
done
if [ -z "$cudart" ]; then
  # shellcheck disable=SC2046
  set -- $(library cuda_runtime_api.h cudart)
  [ $# = 0 ] || cudart="$2 -Wl,-rpath,$(dirname "$2")"
fi

echo "NVCC := $nvcc"
echo "CUDA_INCLUDE :=$include"
echo "CUDART := $cudart"
printf %s "$assignments"
