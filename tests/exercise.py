"""Follows docs/write-a-kernel.md in copies of this checkout: runs the commands of the page, makes its edits, and compares
what is printed with what the page shows.

    python3 -B tests/exercise.py [--cpu] [--keep FOLDER]      or `make exercise`

Every line that the page shows is compared, in its order; a line "..." stands for any lines. Where figures are measured,
numbers may be others, and what `make` and `rcnn synth` print is not compared. Builds of this checkout are copied, so that only what a reader would compile is
compiled. Ends at the first difference, with status 1. --cpu leaves out the two sections on CUDA kernels, which compile
half of the program twice.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/write-a-kernel.md"
MEASURES = ("lab time ", "rcnn train ")
SILENT = ("make ", "rcnn synth ")
COUNTS = "A faster kernel, by its counts"
FAILS = ("lab verify roi_align=mine --out errors", "lab verify nms=one_block nms=mine", "lab compare")  # as the page says


def copy_of_checkout(folder, builds):
    """The tracked files, and the objects of the builds that exist, with their times."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in [*builds, "precompiled"]:
        if (ROOT / "build" / name).exists():
            shutil.copytree(ROOT / "build" / name, folder / "build" / name,
                            ignore=shutil.ignore_patterns("tests", "rcnn*tests", "*.log"))
    return folder


def sections(page):
    """{heading: (its blocks in their order, each a language and a text; the whole section)}"""
    found = {}
    for part in re.split(r"^## ", page, flags=re.M)[1:]:
        heading, text = part.split("\n", 1)
        found[heading] = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S), text
    lost = {"Begin", "Wrong", "A race", COUNTS, "An idea", "Compare", "Train with it"} - set(found)
    if lost:
        sys.exit(f"{PAGE}: it has no section {', '.join(sorted(lost))}, which this script follows")
    return found


def shown(block):
    """The commands of a block, each with the lines that the page shows below it."""
    commands = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands:
            commands[-1][1].append(line)
        else:
            sys.exit(f"{PAGE}: a block begins without a command:\n{line}")
    return commands


def without_figures(line):
    """Numbers become N; what limits a share (M or P) and the processor's kernels may differ as well."""
    line = re.sub(r"N%[MP]", "N%", re.sub(r"\d[\d.:]*", "N", line))
    return " ".join(re.sub(r"; oneDNN.* on cpu$", "", line).split())


def first_difference(lines, printed):
    """The lines of the page that do not stand in what was printed, as one piece and in this order; [] if all do. A piece
    that no "..." precedes or follows must begin or end it."""
    pieces, at = [[]], 0
    for line in lines:
        if line == "...":
            pieces.append([])
        else:
            pieces[-1].append(line)
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        starts = [len(printed) - len(piece)] if last and number else [0] if not number else range(at, len(printed))
        start = next((i for i in starts if i >= at and printed[i:i + len(piece)] == piece), None)
        if start is None:
            return piece or ["(nothing more)"]
        at = start + len(piece)
    return [] if at == len(printed) or lines[-1:] == ["..."] else printed[at:at + 1]


def replace(path, old, new):
    """Puts `new` in the place of the pattern, which must be there once."""
    text, count = re.subn(old, lambda _: new, path.read_text(), flags=re.S)
    if count != 1:
        sys.exit(f"{path}: {old} is there {count} times, expected once")
    path.write_text(text)


class Reader:
    """Somebody who types the commands of the page."""

    def __init__(self, folder):
        self.folder, self.status = folder, 0

    def run(self, command, lines=None):
        print(f"$ {command}", flush=True)
        begin = time.monotonic()
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, env={**os.environ, "MAKEFLAGS": f"-j{os.cpu_count()}"})
        print(f"  {time.monotonic() - begin:.1f} s, status {done.returncode}", flush=True)
        wanted = 1 if any(part in command for part in FAILS) else 0
        if done.returncode != wanted:
            sys.exit(f"{done.stdout}\n{PAGE}: `{command}` ended with status {done.returncode}, expected {wanted}")
        if any(part in command for part in SILENT) or lines is None:
            return done.stdout
        printed, wanted = done.stdout.splitlines(), list(lines)
        if any(part in command for part in MEASURES):
            printed, wanted = map(without_figures, printed), [w if w == "..." else without_figures(w) for w in wanted]
        missing = first_difference(wanted, list(printed))
        if missing:
            sys.exit(f"{done.stdout}\n{PAGE}: `{command}`: this is not in its place:\n" + "\n".join(missing))
        return done.stdout

    def block(self, text, after=None):
        """Runs the commands of a block. `after`: {the beginning of a command: what to do when it has run}."""
        for command, lines in shown(text):
            if command == "echo $?":
                continue  # run() has compared the status
            self.run(command, lines)
            for beginning, act in (after or {}).items():
                if command.startswith(beginning):
                    act()


def of_language(section, language):
    return [text for found, text in section[0] if found == language]


def follow_on_the_cpu(reader, page):
    """Begin, Wrong, An idea, Compare, Train with it."""
    mine = reader.folder / "kernels/roi/roi_align_mine.cpp"
    for text in of_language(page["Begin"], ""):
        reader.block(text)
    # "take the second pixel from the wrong column, `low` instead of `high`"
    replace(mine, re.escape("w1 * low_row[high + c]"), "w1 * low_row[low + c]")
    for text in of_language(page["Wrong"], ""):
        reader.block(text)
    if not (reader.folder / "errors/roi_align-mine-cpu.png").exists():
        sys.exit(f"{PAGE}: there is no errors/roi_align-mine-cpu.png")

    # "This takes the place of `pool_roi` (and `#include <vector>`)"
    replace(mine, r"template <class T>\nvoid pool_roi\(.*?(?=}  // namespace\n)", of_language(page["An idea"], "cpp")[0] + "\n")
    replace(mine, "#include <algorithm>\n", "#include <algorithm>\n#include <vector>\n")
    for text in of_language(page["An idea"], ""):
        reader.block(text)
    # "ends with status 1 here, because `mine` takes ... % longer"
    command = re.search(r"`(build/rcnn lab compare [^`]*)`", page["Compare"][1])
    compared = reader.run(command[1])
    if len(re.findall(r"^slower  roi_align=mine, case [12], f32: ", compared, re.M)) != 2:
        sys.exit(f"{compared}\n{PAGE}: `lab compare` does not find both cases of roi_align=mine slower")
    for text in of_language(page["Train with it"], ""):
        reader.block(text)


def follow_to_the_race(reader, page):
    """A race. On the page it comes before the idea, which it does not touch; here last, because it changes a header, so that
    half of the program would be compiled for the idea again."""
    def remove_barrier():  # "Remove the `__syncthreads()` at the end of the loop over the boxes"
        replace(reader.folder / "kernels/boxes/nms_mine.cu", r"(?<=it\.\n)    __syncthreads\(\);\n(?=  }\n)", "")
    for text in of_language(page["A race"], ""):
        reader.block(text, {"build/rcnn lab new nms": remove_barrier})


def follow_with_counts(reader, page):
    """A faster kernel, by its counts: in another checkout."""
    mine = reader.folder / "kernels/roi/roi_align_mine.cu"
    blocks = page[COUNTS]
    before, after = of_language(blocks, "")
    kernel, function = of_language(blocks, "cpp")
    reader.block(before)
    # "This goes behind `thread_per_output_kernel`", "So the function becomes"
    replace(mine, r"}  // namespace\n\nvoid roi_align_mine\(.*(?=}  // namespace rcnn::kernels)",
            f"{kernel}\n}}  // namespace\n\n{function}\n")
    reader.block(after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="without the sections on CUDA kernels")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the copies here, and leave them")
    options = parser.parse_args()
    page = sections((ROOT / PAGE).read_text())
    program = ROOT / "build/rcnn"
    if not program.exists():
        sys.exit(f"{program} is missing: `make` builds it")
    with tempfile.TemporaryDirectory(prefix="rcnn-exercise-") as temporary:
        folder = options.keep or Path(temporary)
        first = copy_of_checkout(folder / "first", ["release"] if options.cpu else ["release", "release-sim"])
        (first / "build/rcnn").symlink_to("release/rcnn")
        follow_on_the_cpu(Reader(first), page)
        if not options.cpu:
            follow_to_the_race(Reader(first), page)
            second = copy_of_checkout(folder / "second", ["races-sim"])
            shutil.copy(first / "build/rcnn", second / "build/rcnn")
            follow_with_counts(Reader(second), page)
    print(f"{PAGE}: {'the commands of the CPU' if options.cpu else 'all commands'} print what the page shows")


if __name__ == "__main__":
    main()
