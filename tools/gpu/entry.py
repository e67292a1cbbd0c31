"""What gpu_first.py and gpu_check.py have in common: run stages, write the results after each, print the table last."""

import json
import signal
import sys

from gpu import report
from gpu.machine import slug
from gpu.runner import run_stages


def stop(number, _):
    raise SystemExit(128 + number)


def run(setup, stages, total, results_folder):
    """Runs the stages within `total` seconds, and writes results_folder/<gpu>.json, .md and .txt after each. Returns
    the exit status: 1 if a stage failed."""
    # So that the commands are ended and the table is printed when this process is told to stop.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    results_folder.mkdir(parents=True, exist_ok=True)
    file = results_folder / f"{slug(setup.gpu['name'])}.json"
    # Results of other stages, of an earlier run, stay.
    earlier = json.loads(file.read_text()).get("stages", {}) if file.exists() else {}
    results = {"gpu": setup.gpu, "cuda": setup.toolkit.get("cuda", "not found"), "form": setup.form,
               "commit": setup.commit, "stages": earlier}
    ran = []

    def after(name, entry):
        ran.append(name)
        results["stages"].pop(name, None)  # in the order in which they ran
        results["stages"][name] = entry
        file.write_text(report.to_json(results))
        file.with_suffix(".md").write_text(report.to_markdown(results))
        file.with_suffix(".txt").write_text(report.to_text(results))

    setup.start_sampler()
    try:
        run_stages(stages, setup, total, after)
    finally:
        setup.stop_sampler()
        setup.commands.close()
        print("\n" + report.to_text({**results, "stages": {name: results["stages"][name] for name in ran}}), flush=True)
        print(f"results: {file}, {file.with_suffix('.md').name}, {file.with_suffix('.txt').name}; output of every "
              f"command: {setup.commands.log}", flush=True)
    failed = [name for name in ran if results["stages"][name]["result"] == "FAILED"]
    print(f"failed: {', '.join(failed)}" if failed else "no stage failed", flush=True)
    return 1 if failed else 0


def exit_with(name, failure):
    sys.exit(f"{name}: {failure}.")
