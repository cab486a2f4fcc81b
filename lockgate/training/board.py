"""TensorBoard logs, written by TensorFlow alone: the tensorboard package is only needed to look at them."""

from pathlib import Path

import tensorflow as tf

from lockgate.training.state import LoopState

# What tells TensorBoard that a tensor is a point of a curve: the scalars plugin, data class "scalar".
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1
)


class Board:
    """Writes the curves of an epoch at a time; after a resume the earlier epochs are written again.

    Args:
        folder: gets a folder of logs each for train and tune.
        metric: the main metric's name.
    """

    def __init__(self, folder: Path, metric: str) -> None:
        self.metric = metric
        self._train, self._tune = (tf.summary.create_file_writer(str(folder / n)) for n in ("train", "tune"))
        self._written = 0

    def write(self, state: LoopState) -> None:
        """Writes the epochs that were not written yet."""
        for epoch in state.history[self._written :]:
            with self._train.as_default(step=epoch.step):
                point("loss", epoch.loss)
                point(self.metric, epoch.train_metric)
                point("learning rate", epoch.learning_rate)
                point("rows per second", epoch.rows_per_second)
            with self._tune.as_default(step=epoch.step):
                point("loss", epoch.tune_loss)
                point(self.metric, epoch.metric)
            self._written += 1
        self._train.flush()
        self._tune.flush()


def point(name: str, value: float) -> None:
    """One point of a curve, at the step of the default writer."""
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=SCALAR)
