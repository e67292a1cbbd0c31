#!/bin/sh
# Runs clang-tidy, with the rules of .clang-tidy, on the files that changed.
#
#     tools/tidy.sh            files that differ from the last commit
#     tools/tidy.sh COMMIT     files that differ from COMMIT (a branch, a tag, HEAD~3)
#     tools/tidy.sh all        all files; takes about ten seconds per file
#
# A header is checked through one .cpp file that includes it.
set -eu
cd "$(dirname "$0")/.."

base=${1:-HEAD}
if ! command -v clang-tidy >/dev/null; then
  echo "clang-tidy is missing: install the package clang-tidy" >&2
  exit 1
fi
if [ "$base" = all ]; then
  changed=$(git ls-files '*.cpp')
else
  changed=$(git diff --name-only --diff-filter=d "$base" -- '*.cpp' '*.h' &&
    git ls-files --others --exclude-standard -- '*.cpp' '*.h')
fi
units=$(for file in $changed; do
  case $file in
    *.cpp) echo "$file" ;;
    *.h) git grep -lF "#include \"$file\"" -- '*.cpp' | head -n 1 ;;
  esac
done | sort -u)

# The flags that matter to the parser. It uses the standard library's threads, because clang comes without omp.h.
faults=0
for unit in $units; do
  echo "  TIDY $unit"
  clang-tidy --quiet --warnings-as-errors='*' "$unit" -- -std=c++20 -I. -DRCNN_ONEDNN -DRCNN_STD_THREADS \
    2>/dev/null || faults=$((faults + 1))
done
[ "$faults" -eq 0 ] || { echo "tidy: faults in $faults files" >&2; exit 1; }
