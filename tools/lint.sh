#!/bin/sh
# The checks of `make lint`: formatting, includes between floors, lengths of files, types defined twice, left-over marks,
# shell scripts. Prints every fault and exits with 1 if there is one.
set -u
cd "$(dirname "$0")/.." || exit 1

folders="core kernels layers models data eval report train cli bench tests examples"
# shellcheck disable=SC2086 # one word per folder
sources=$(find $folders -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null | sort)
faults=0
fault() {
  printf '%s\n' "$1" >&2
  faults=$((faults + 1))
}

# ---- format: by clang-format 14; other versions format some lines differently, so their findings are not faults --
formatter=$(command -v clang-format-14 || command -v clang-format)
if [ -z "$formatter" ]; then
  fault "clang-format is missing: sh tools/setup.sh installs it"
else
  version=$("$formatter" --version | sed 's/.*version \([0-9]*\).*/\1/')
  # shellcheck disable=SC2086
  if [ "$version" = 14 ]; then
    "$formatter" --dry-run -Werror $sources || fault "format: run \`make format\`"
  else
    "$formatter" --dry-run $sources
    echo "format: checked with clang-format $version; the project uses 14, so differences are not counted as faults"
  fi
fi

# ---- floors: a file may include from its own floor and from the floors below it ---------------------------------
# shellcheck disable=SC2086
upward=$(awk '
  BEGIN {
    below["core"] = "core"
    below["kernels"] = "core kernels"
    below["layers"] = "core kernels layers"
    below["models"] = "core layers models"
    below["eval"] = "core kernels layers models data eval"
    below["data"] = "core data"
    below["report"] = below["eval"] " report"
    below["train"] = below["report"] " train"
    below["bench"] = below["train"] " bench"
    below["cli"] = below["bench"] " cli"
    below["tests"] = below["cli"] " tests"
    below["examples"] = below["cli"] " examples"
  }
  /^[ \t]*#[ \t]*include[ \t]*"/ {
    floor = FILENAME
    sub(/\/.*/, "", floor)
    included = $0
    sub(/^[^"]*"/, "", included)
    sub(/".*/, "", included)
    target = included
    if (!sub(/\/.*/, "", target))
      printf "%s:%d: \"%s\": includes are written from the root of the repository\n", FILENAME, FNR, included
    else if (index(" " below[floor] " ", " " target " ") == 0)
      printf "%s:%d: %s/ may not include %s: it may use %s\n", FILENAME, FNR, floor, included, below[floor]
  }' $sources)
[ -z "$upward" ] || fault "$upward"

# ---- families of kernels: a file includes core, the root of kernels/ and its own family ---------------------------
# The exceptions, each with its reason. kernels/ops.h and kernels/op_cases.h list the ops of all families.
# shellcheck disable=SC2046,SC2086
strays=$(awk '
  BEGIN {
    allowed["loss kernels/boxes/box_access.h"] = "a box is read as one float4"
    allowed["roi kernels/boxes/box_math.h"] = "clip, NaN included"
    allowed["roi kernels/spatial/max_pool_math.h"] = "which value is larger, NaN included"
  }
  FILENAME ~ /^kernels\/(ops|op_cases)\.h$/ { next }
  /^[ \t]*#[ \t]*include[ \t]*"kernels\/[^"]*\// {
    depth = split(FILENAME, parts, "/")
    family = depth == 3 ? parts[2] : ""
    included = $0
    sub(/^[^"]*"/, "", included)
    sub(/".*/, "", included)
    split(included, target, "/")
    if (target[2] == family || ((family " " included) in allowed)) next
    printf "%s:%d: %s may not include %s: move what it needs to the root of kernels/, or name the exception in tools/lint.sh\n",
      FILENAME, FNR, family == "" ? "the root of kernels/" : "kernels/" family, included
  }' $(printf '%s\n' $sources | grep '^kernels/'))
[ -z "$strays" ] || fault "$strays"

# ---- length -----------------------------------------------------------------------------------------------------
for file in $sources; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 400 ] || fault "$file: $lines lines; expected at most 400: split it at a natural seam"
done

# ---- types: one definition for each name ------------------------------------------------------------------------
# shellcheck disable=SC2086
python3 tools/duplicate_types.py $sources || fault "types: see above"

# ---- threads: a body of parallel_for gets a range, whatever the grain ---------------------------------------------
# shellcheck disable=SC2086
endless=$(grep -nHE 'parallel_for\(.*\[.*\]\(int64_t [a-z_]+, int64_t\)' $sources) &&
  fault "a body of parallel_for ignores the end of its range; parallel_chunks calls a body for each index:
$endless"

# ---- kernels: constructs that the simulation cannot run or would not check ----------------------------------------
# shellcheck disable=SC2086
kernels=$(printf '%s\n' $sources | grep -E '^(core|kernels)/.*\.cuh?$')
raw=$(
  for file in $kernels; do
    grep -nHE '<<<|__shared__|\basm\b|#include *<(cub|thrust|cooperative_groups)|cudaMalloc|cudaMemcpy|cudaDeviceSynchronize|\bprintf\(' \
      "$file" | grep -vE ':[0-9]+: *(//|///)'
  done
)
[ -z "$raw" ] || fault "kernels must be started with launch, declare shared memory with RCNN_SHARED or dynamic_shared, keep PTX
in core/cuda/mma.h and use no library of device code; these lines do not:
$raw"

# ---- marks of unfinished work, and paths of one machine ---------------------------------------------------------
# grep_all PATTERN: the lines of the project's text files that match.
grep_all() {
  grep -rnIE "$1" . --exclude-dir=.git --exclude=.git --exclude-dir=build --exclude-dir=third_party_bundle --exclude-dir=out --exclude-dir=__pycache__ \
    --exclude=compile_commands.json
}
marks=$(grep_all '\b(TO[D]O|FIX[M]E)\b') && fault "notes on unfinished work belong in an issue, not in a file:
$marks"
paths=$(grep_all '(^|[^[:alnum:]_.~/-])/(work|root|home)(/|$|[^[:alnum:]_])') && fault "paths that exist on one machine only:
$paths"

# ---- documents: files that they name, and links that they contain, exist ------------------------------------------
# A name begins with a folder of the project. One with a placeholder, as in kernels/<op>.h, is left out, and so is the variant
# `mine` that docs/write-a-kernel.md adds.
documents="README.md CONTRIBUTING.md SECURITY.md $(ls docs/*.md docs/course/*.md)"
named=$(echo "$folders docs tools" | tr ' ' '|')
missing=$(
  for document in $documents; do
    {
      grep -oE "(^|[^[:alnum:]_./<>-])($named)/[^][:space:]\`\"'(),;:|]*" "$document" |
        sed 's/^[^[:alnum:]]//; s/[.]*$//' | grep -v '[<>*{}]' | grep -v '_mine\.'
      grep -oE '\]\([[:alnum:]_./-]+[)#]' "$document" | sed "s/^](//; s/.\$//; s|^|$(dirname "$document")/|"
    } | sort -u | while read -r path; do
      [ -e "$path" ] || echo "$document: $path"
    done
  done
)
[ -z "$missing" ] || fault "these files are named and do not exist:
$missing"

# ---- shell scripts ----------------------------------------------------------------------------------------------
if ! command -v shellcheck >/dev/null; then
  fault "shellcheck is missing: sh tools/setup.sh installs it"
else
  set -- tools/*.sh
  [ ! -f .ci/run ] || set -- "$@" .ci/run
  shellcheck "$@" || fault "shellcheck: see above"
fi

[ "$faults" -eq 0 ] || exit 1
echo "lint: $(printf '%s\n' "$sources" | wc -l) sources, no fault"
