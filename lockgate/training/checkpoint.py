"""Checkpoints of a training: weights and optimizer by TensorFlow, the position beside them as JSON."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lockgate.storage import explained, replacing
from lockgate.training.archive import BEST, Archive
from lockgate.training.state import LoopState

Weights = list[npt.NDArray[Any]]
KEPT = 2


class Keeper:
    """Saves and restores one training.

    Under several workers all must call `save` and `restore` at the same step: reading some variables is a
    collective operation. Only what the chief writes counts; the others write to a folder that is thrown away.

    Args:
        folder: the chief's folder, readable by every worker.
        network: with its variables made.
        optimizer: with its variables made.
        is_chief: whether this worker writes what counts.
        archive: where `folder` is one worker's own, the bucket that stands behind it.
    """

    def __init__(
        self,
        folder: Path,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        is_chief: bool = True,
        archive: Archive | None = None,
    ) -> None:
        self.folder, self.is_chief, self.archive = folder, is_chief, archive
        self._checkpoint = tf.train.Checkpoint(network=network, optimizer=optimizer)

    def save(self, state: LoopState, average: Weights | None, best: Weights | None) -> None:
        """Saves the present step; `best` are the weights of a new best epoch since the last time.

        The position is written first and the pointer to the newest checkpoint last, so a process that is
        killed in between leaves the checkpoint before.

        Raises:
            StorageError: the folder or the bucket cannot be written, or the disk is full.
        """
        if not self.is_chief:
            with tempfile.TemporaryDirectory() as scrap:
                self._checkpoint.write(str(Path(scrap) / "other"))
            return
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if best is not None:
                save_weights(self.folder / BEST, best)
            state.save(self.folder / f"state-{state.step}.json")
            if average is not None:
                save_weights(self.folder / f"average-{state.step}.npz", average)
            manager = tf.train.CheckpointManager(self._checkpoint, str(self.folder), max_to_keep=KEPT)
            manager.save(checkpoint_number=state.step)
            alive = {Path(path).name.rpartition("-")[2] for path in manager.checkpoints}
        if self.archive is not None:
            self.archive.keep(self.folder, state.step, has_new_best=best is not None)
        for file in (*self.folder.glob("state-*.json"), *self.folder.glob("average-*.npz")):
            if file.stem.rpartition("-")[2] not in alive:
                file.unlink()

    def restore(self) -> tuple[LoopState, Weights | None] | None:
        """Takes up the newest checkpoint; None when there is none."""
        if self.archive is not None:
            self.archive.restore(self.folder)
        latest = tf.train.latest_checkpoint(str(self.folder))
        if latest is None:
            return None
        self._checkpoint.restore(latest).assert_existing_objects_matched()
        step = latest.rpartition("-")[2]
        average = self.folder / f"average-{step}.npz"
        state = LoopState.load(self.folder / f"state-{step}.json")
        return state, load_weights(average) if average.exists() else None

    def best(self) -> Weights | None:
        """The weights of the best epoch, or None before the first."""
        file = self.folder / BEST
        return load_weights(file) if file.exists() else None


def save_weights(path: Path, weights: Weights) -> None:
    """Writes weights as npz: whole, or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, *weights)


def load_weights(path: Path) -> Weights:
    """Reads what `save_weights` wrote, in the same order."""
    with np.load(path) as stored:
        return [stored[f"arr_{i}"] for i in range(len(stored.files))]
