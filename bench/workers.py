"""Two local workers beside one process: the difference of their losses, and their speed."""

import argparse
import tempfile
from pathlib import Path

from lockgate.project import Project
from lockgate.training.executor import Trained, execute
from lockgate.training.job import Job
from tests.unit.training_data import write_features


def main() -> None:
    """Prints a table: the greatest difference of the epochs' losses, and the ratio of rows a second."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=262_144)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4096)
    given = parser.parse_known_args()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder / "features", {"train": given.rows, "tune": 16_384}, group=16_384)
        one, two = (train(folder, workers, given.epochs, given.batch) for workers in (1, 2))
    pairs = list(zip(one.state.history, two.state.history, strict=True))
    loss = max(abs(a.loss - b.loss) for a, b in pairs)
    tune = max(abs(a.tune_loss - b.tune_loss) for a, b in pairs)
    speeds = [max(e.rows_per_second for e in each.state.history) for each in (one, two)]
    print(f"{given.rows:,} rows, {given.epochs} epochs, batches of {given.batch}")
    print("| | |\n|---|---|")
    print(f"| greatest difference of the training loss | {loss:.1e} |")
    print(f"| greatest difference of the tune loss | {tune:.1e} |")
    print(f"| steps of one process / of two workers | {one.state.step} / {two.state.step} |")
    print(f"| rows a second, two workers / one process | {speeds[1] / speeds[0]:.2f} |")


def train(folder: Path, workers: int, epochs: int, batch: int) -> Trained:
    """Trains the same network on the same global batches by so many workers."""
    project = Project.model_validate(
        {
            "name": "bench",
            "task": "binary",
            "data": {"source": "x", "label": "y"},
            "model": {},
            "train": {"epochs": epochs, "batch_size": batch, "patience": 0, "shards": 2, "workers": workers},
        }
    )
    job = Job(project=project, features=str(folder / "features"), folder=str(folder / f"workers-{workers}"))
    return execute(job, lambda _: None)


if __name__ == "__main__":
    main()
