#!/usr/bin/env python3
"""Records the first losses of a training on the CPU in recorded/losses.json, for tools/gpu_first.py to compare with.

tools/gpu_bundle.sh runs it in the folder that it packs.
"""

import json
import sys
import tempfile
from pathlib import Path

from gpu import checks
from gpu.machine import SIMULATED, Setup
from gpu.runner import Failure, StageRun

LIMIT = 600  # seconds


def main():
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup("first", SIMULATED, folder)
        try:
            setup.require_programs()
            losses = checks.train(StageRun.within(LIMIT, setup), "first", "cpu", Path(folder) / "training")
        except Failure as failure:
            sys.exit(f"gpu-record: {failure}.")
    checks.RECORDED.parent.mkdir(exist_ok=True)
    checks.RECORDED.write_text(json.dumps({"first": {"losses": losses}}) + "\n")
    print(f"{checks.RECORDED.name}: {len(losses)} losses, {losses[0]:.4f} to {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
