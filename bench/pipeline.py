"""The flights from raw data to a pushed model: how long, how good, and what the pipeline itself costs."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lockgate.evaluation.record import EvaluationRecord
from lockgate.progress import read_events
from lockgate.run_folder import RunFolder
from lockgate.workspace import Workspace

ROOT = Path(__file__).parent.parent
RUNS = 3
IMPORT = "from lockgate.process import collect_rarely; collect_rarely(); import keras, tensorflow"
# Steps that would share one import of TensorFlow if they ran in one process; the first has to pay for it.
TENSORFLOW_STEPS = ("transform", "train", "evaluate", "check_serving")


def main() -> None:
    """Prints the table."""
    imports = statistics.median(_seconds([sys.executable, "-c", IMPORT]) for _ in range(RUNS))
    walls, overheads = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS):
            walls.append(_seconds(["lockgate", "run", "examples/flights", "--workspace", folder]))
            overheads.append(walls[-1] - sum(_step_seconds(_last(folder)).values()))
        again = imports * (len(TENSORFLOW_STEPS) - 1)
        wall, overhead = statistics.median(walls), statistics.median(overheads) + again
        table = Table(title=f"The flights, end to end (median of {RUNS} runs)", title_justify="left")
        for column in ("what", "measured", "bar"):
            table.add_column(column)
        table.add_row("end to end", f"{wall:.0f} s", "< 240 s")
        own = overhead - again
        table.add_row(
            "KFP, files, starts of processes", f"{own:.1f} s = {own / wall:.1%}", "< 10 s and < 10 %"
        )
        table.add_row("the same, TensorFlow's imports too", f"{overhead:.1f} s = {overhead / wall:.1%}", "")
        for model, value in _scores(_last(folder)):
            bar = "above both baselines" if model == "network" else ""
            table.add_row(f"test ROC AUC, {model}", f"{value:.4f}", bar)
        for step, seconds in _step_seconds(_last(folder)).items():
            table.add_row(f"  {step}", f"{seconds:.1f} s", "")
    Console().print(table)


def _seconds(command: list[str]) -> float:
    program = str(Path(sys.executable).parent / command[0]) if command[0] == "lockgate" else command[0]
    start = time.monotonic()
    subprocess.run([program, *command[1:]], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def _last(workspace: str) -> RunFolder:
    return RunFolder(Workspace(workspace).runs()[-1])


def _step_seconds(run: RunFolder) -> dict[str, float]:
    """How long each step's own function took, its imports included."""
    return {event.step: event.seconds for event in read_events(run.events) if event.state == "done"}


def _scores(run: RunFolder) -> list[tuple[str, float]]:
    folder = run.artifact("evaluate", "evaluation")
    if folder is None:
        raise SystemExit("The run did not come as far as the evaluation.")
    record = EvaluationRecord.load(folder / "evaluation.json")
    scores = [(m.name, m.metric(record.metric)) for m in record.models if m.role != "champion"]
    return [(name, metric.value) for name, metric in scores if metric is not None]


if __name__ == "__main__":
    main()
