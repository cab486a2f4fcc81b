"""One training as a piece of work that a process can be given: what to learn, where to keep it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from lockgate.errors import ConfigError, DataError
from lockgate.features.spec import TransformSpec
from lockgate.project import Project, Training
from lockgate.records import Record
from lockgate.storage import store_at
from lockgate.training.archive import Archive, is_remote, local_folder
from lockgate.training.checkpoint import Keeper
from lockgate.training.input import Batches, Features, Source
from lockgate.training.judge import Judge
from lockgate.training.loop import Loop, Watch
from lockgate.training.network import build_network, build_optimizer, task_of
from lockgate.training.state import LoopState
from lockgate.training.stepper import Stepper, refuse_clipping

DONE = "done.json"


class Job(Record):
    """A training: the project with the model and settings to use, and its folders, here or in a bucket.

    `features` is the transform's artifact, `folder` holds checkpoints, the best weights, and at the end
    `done.json`, the final state.
    """

    project: Project
    code: Mapping[str, str] = {}
    features: str
    folder: str

    @property
    def settings(self) -> Training:
        """How to train."""
        return self.project.train


def run_job(
    job: Job,
    strategy: tf.distribute.Strategy,
    *,
    worker: int = 0,
    watch: Watch,
) -> LoopState:
    """Trains from the newest checkpoint to the end, as one of the job's workers.

    Raises:
        Stopped: it was asked to stop; the step is saved.
        Disagreement: the workers have not restored the same step.
        Superseded: another process trains this job.
        ConfigError: settings that do not go together.
        TrainingError: the user's model function failed, or the loss is not finite.
    """
    with tempfile.TemporaryDirectory(prefix="training-", ignore_cleanup_errors=True) as scratch:
        features = local_folder(job.features, Path(scratch) / "features")
        spec = TransformSpec.load(features / "spec.json")
        store = store_at(job.folder)
        loop = make_loop(
            job.project,
            job.code,
            spec,
            Features(features / "train", spec),
            Features(features / "tune", spec),
            strategy=strategy,
            worker=worker,
            folder=Path(scratch) / "checkpoints" if is_remote(job.folder) else Path(job.folder),
            archive=Archive(store) if is_remote(job.folder) else None,
        )
        loop.watch = watch
        state = loop.run()
    if worker == 0:
        store.write(DONE, state.model_dump_json().encode())
    if strategy.num_replicas_in_sync > 1:
        # Nobody leaves before the result is written: were the chief lost now, all would be needed again.
        loop.stepper.summed([0.0])
    return state


def make_loop(
    project: Project,
    code: Mapping[str, str],
    spec: TransformSpec,
    train: Source,
    tune: Source,
    *,
    strategy: tf.distribute.Strategy | None = None,
    worker: int = 0,
    folder: Path | None = None,
    archive: Archive | None = None,
) -> Loop:
    """Builds network, optimizer and input of one worker; without a folder nothing is saved.

    Raises:
        ConfigError: settings that do not go together.
        DataError: there are too few rows, or none to tune on.
    """
    settings = project.train
    strategy = strategy or tf.distribute.get_strategy()
    refuse_clipping(settings, strategy.num_replicas_in_sync)
    shards = settings.shards or settings.workers
    _check(settings, shards, len(train), len(tune), strategy)
    batches = Batches(
        train,
        shards=shards,
        batch=settings.batch_size,
        seed=settings.seed,
        worker=worker,
        workers=settings.workers,
    )
    task = task_of(project, spec)
    judge = None
    if worker == 0:
        own = build_network(project, code, spec)
        judge = Judge(own, spec=spec, task=task, metric=project.metric, train=train, tune=tune)
    with strategy.scope():
        network = build_network(project, code, spec)
        optimizer = build_optimizer(settings, batches.steps)
        optimizer.build(network.trainable_variables)
    stepper = Stepper(
        strategy,
        network,
        optimizer,
        task=task,
        spec=spec,
        global_batch=batches.plan.global_batch,
        workers=settings.workers,
    )
    keeper = None
    if folder is not None:
        keeper = Keeper(folder, network, optimizer, is_chief=worker == 0, archive=archive)
    return Loop(stepper, batches, judge, settings, project.metric, keeper)


def _check(settings: Training, shards: int, train: int, tune: int, strategy: Any) -> None:
    if shards % settings.workers:
        raise ConfigError(
            f"train.shards is {shards} with {settings.workers} workers.",
            "Every worker reads the same number of shards.",
            "Make train.shards a multiple of train.workers.",
        )
    if settings.batch_size % shards:
        raise ConfigError(
            f"train.batch_size is {settings.batch_size} with {shards} shards.",
            "Every shard gives the same number of rows to a step.",
            "Make train.batch_size a multiple of train.shards.",
        )
    replicas = strategy.num_replicas_in_sync // settings.workers
    if (settings.batch_size // settings.workers) % replicas:
        raise ConfigError(
            f"train.batch_size is {settings.batch_size} for {settings.workers * replicas} devices.",
            "Every device takes the same number of rows.",
            f"Make train.batch_size a multiple of {settings.workers * replicas}.",
        )
    for name, rows, least in (("train", train, shards), ("tune", tune, 1)):
        if rows < least:
            raise DataError(
                f"The {name} split has {rows} labelled rows.",
                f"At least {least} are needed.",
                f"Make split.{name} longer in project.yaml.",
            )


def strategy_of(workers: int) -> tf.distribute.Strategy:
    """The strategy of this process: over its GPUs, and over the workers that TF_CONFIG names."""
    if workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
