"""What gpu_first.py and gpu_check.py have in common: run stages, write the results after each, print the table last."""

import json
import signal
import sys
from pathlib import Path

from gpu import report
from gpu.machine import slug
from gpu.runner import run_stages
from gpu.stages import stages_of


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


def add_options(parser, form, results):
    """Adds the options that both scripts have. `results` is the default of --results."""
    names = ",".join(stage.name for stage in stages_of(form))
    parser.add_argument("--only", metavar="STAGES", help=f"run only these, separated by commas: {names}")
    parser.add_argument("--results", type=Path, default=Path(results), help=f"output folder [{results}]")
    parser.add_argument("--python", default=sys.executable, help="the Python that has PyTorch [this one]")


def parse(parser, form):
    """The options; `only` is a list of names of stages."""
    options = parser.parse_args()
    options.results = options.results.resolve()
    if "/" in options.python:
        options.python = str(Path(options.python).absolute())
    options.only = options.only.split(",") if options.only else []
    names = [stage.name for stage in stages_of(form)]
    unknown = [name for name in options.only if name not in names]
    if unknown:
        parser.error(f"--only: there is no stage {unknown[0]}; expected some of {', '.join(names)}.")
    return options


def exit_with(name, failure):
    sys.exit(f"{name}: {failure}.")
