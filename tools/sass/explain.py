"""What limits a kernel, by its machine code."""

import collections
import pathlib
import re
import sys

from sass.kernels import HMMA_CLOCKS, HMMA_PEAK_CLOCKS, INTEGER, MOVES, Card

# What the instructions of a loop are for, by the first part of their names; `--explain` counts them.
MIX = {
    "tensor cores": {"HMMA", "IMMA", "HGMMA", "BMMA"},
    "float arithmetic": {"FFMA", "FFMA2", "FADD", "FADD2", "FMUL", "FMUL2", "MUFU"},
    "shared memory": {"LDS", "LDSM", "STS", "ATOMS"},
    "global memory": {"LDG", "STG", "ATOMG", "RED", "LD", "ST"},
    "asynchronous copies": {"LDGSTS"},
    "barriers and waits": {"BAR", "DEPBAR", "LDGDEPBAR", "WARPSYNC", "SYNCS", "MEMBAR", "NANOSLEEP"},
    "branches": {"BRA", "BSSY", "BSYNC", "BREAK", "EXIT", "CALL", "RET", "BRX", "JMP"},
    "local memory": {"LDL", "STL"},
    "conversions": {"F2F", "F2FP", "I2F", "F2I", "I2FP", "F2IP", "I2I", "FRND"},
}
ADDRESSES = INTEGER | {"IMAD", "UIADD3", "ULEA", "UIMAD", "ULOP3", "USHF", "UISETP"}


def mix_of(loop):
    """Instructions by what they are for, the most first. Moves are counted by MOVES; what is left is arithmetic
    on integers, most of it for addresses, and everything else."""
    mix = collections.Counter()
    for opcode, n in loop.counts.items():
        name = opcode.split(".")[0]
        purpose = next((purpose for purpose, names in MIX.items() if name in names), None)
        if purpose is None and any((opcode + ".").startswith(move + ".") for move in MOVES):
            purpose = "moves"
        if purpose is None:
            purpose = "integers and addresses" if name in ADDRESSES else "other"
        mix[purpose] += n
    return dict(mix.most_common())


def read_cards(path=None):
    """The cards of bench/cards.h."""
    path = path or pathlib.Path(__file__).resolve().parents[2] / "bench" / "cards.h"
    rows = re.findall(r'^    \{"(\w+)", (\d+), \d+, (?:[\d.]+, ){5}(\d+), (\d+), (\d+),\s', path.read_text(), re.M)
    if not rows:
        sys.exit(f"{path}: no card was found in kCards")
    return [Card(name, *map(int, rest)) for name, *rest in rows]


def figures(kernel, cards):
    """What explain says, for a file."""
    fits = {card.name: kernel.occupancy(card) for card in cards if card.capability == kernel.capability()}
    found = {"kernel": f"{kernel.file}:{kernel.name}", "architecture": kernel.architecture, "registers": kernel.registers,
             "threads": kernel.threads, "shared": kernel.shared + kernel.dynamic_shared(), "local": kernel.local(),
             "blocks": {name: {"count": fit[0], "limit": fit[1]} for name, fit in fits.items() if fit}}
    if kernel.loop:
        found["loop"] = {"instructions": kernel.loop.size(), **mix_of(kernel.loop)}
    return found


def explain(kernel, cards):
    """Lines on what limits a kernel, by its machine code."""
    warps = -(-kernel.threads // 32)
    block = f"at most {kernel.threads} threads of a block" if kernel.threads else "a block of undeclared size"
    lines = [f"{kernel.file}: {kernel.name}, sm_{kernel.architecture}",
             f"  {kernel.registers} registers for each thread, {block}, {kernel.shared} bytes of declared and "
             f"{kernel.dynamic_shared()} of dynamic shared memory"]
    if kernel.local():
        lines.append(f"  {kernel.local()} instructions access local memory: spilled registers or arrays that did not fit")
    for card in cards:
        if card.capability != kernel.capability():
            continue
        fits = kernel.occupancy(card)
        if fits:
            lines.append(f"  {card.name}: {fits[0]} block{'' if fits[0] == 1 else 's'} on a multiprocessor at a time, "
                         f"{fits[0] * warps} of {card.warps} warps, limited by {fits[1]}")
    if not kernel.loop:
        return [*lines, "  no loop with multiplications of floats"]
    loop, size = kernel.loop, kernel.loop.size()
    lines.append(f"  hot loop: {size} instructions of a warp")
    lines += [f"    {n:6} {100 * n / size:5.1f} %  {purpose}" for purpose, n in mix_of(loop).items()]
    if kernel.threads and loop.loaded_bytes():
        lines.append(f"  a round requests {loop.loaded_bytes() * warps} bytes of global memory for each block, which are "
                     "in flight together if nothing waits for them in between")
    estimates = kernel.estimates() if kernel.capability() >= 90 else {}
    if estimates:
        limit = max(estimates, key=estimates.get)
        clocks = ", ".join(f"{name} {value:.0f}" for name, value in estimates.items())
        lines.append(f"  clocks of a multiprocessor of sm_90 for a round of a block, if other blocks fill all gaps: "
                     f"{clocks}; limited by {limit}")
        if estimates["tensor"]:
            share = estimates["tensor"] * HMMA_PEAK_CLOCKS / HMMA_CLOCKS / estimates[limit]
            lines.append(f"  by this estimate the tensor cores reach at most {100 * share:.0f} % of their peak")
    return lines
