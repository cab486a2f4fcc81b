"""What a step does about its job, besides what pods show: a bucket that is away, a name that is taken."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.cluster import following, launcher
from components.cluster.connection import Api, Object, Taken
from components.cluster.following import PATIENCE, Following
from components.cluster.indexed_job import IndexedJobs
from components.cluster.launcher import PodWorkers, job_file
from components.cluster.work import Work
from lockgate.disk import FolderStore
from lockgate.errors import ClusterError, StorageError
from lockgate.project import Training
from tests.unit.test_distribute import job_of
from tests.unit.test_trainjob import work_of


class NoPods(Api):
    """A cluster without a single pod."""

    def get(self, path: str, **query: str) -> Object:
        return {"items": []}


class Complete(IndexedJobs):
    """A job that is done, of other settings than those that are asked for."""

    def find(self, work: Work) -> Object | None:
        done = {"type": "Complete", "status": "True"}
        return {"metadata": {"name": work.child}, "spec": {}, "status": {"conditions": [done]}}


class Away(FolderStore):
    """A bucket that does not answer the first times."""

    left = 0

    def read(self, name: str) -> bytes | None:
        self.left -= 1
        if self.left >= 0:
            raise StorageError("The bucket does not answer.")
        return super().read(name)


def follow(store: Away, clock: Callable[[], float]) -> int:
    api = NoPods(None)
    told: list[str] = []
    settings = Training.model_validate({})
    job = Following(api, Complete(api), work_of(), settings, store, told.append, clock)
    return job.follow(lambda state: None, lambda: False)


def test_a_bucket_that_is_away_for_a_moment_does_not_end_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "POLL", 0.0)
    store = Away(tmp_path)
    store.left = 3
    assert follow(store, lambda: 0.0) == 0
    assert store.left == -1


def test_a_bucket_that_is_away_for_long_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL", 0.0)
    store, seconds = Away(tmp_path), iter(range(0, 100_000, 60))
    store.left = 1000
    with pytest.raises(StorageError, match="does not answer"):
        follow(store, lambda: float(next(seconds)))
    assert 1000 - store.left == PATIENCE // 60 + 1


class TakenMeanwhile(IndexedJobs):
    """Another step makes its job between this one's look and its own try."""

    there: Mapping[str, Any] | None = None

    def find(self, work: Work) -> Object | None:
        return dict(self.there) if self.there is not None else None

    def create(self, work: Work) -> None:
        self.there = {"metadata": {"name": work.child, "annotations": {}}, "spec": {}}
        raise Taken("It is there.")


def test_a_job_that_was_faster_keeps_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "is_there", lambda *_: False)
    api, job, store = NoPods(None), job_of(tmp_path, "taken"), FolderStore(tmp_path / "taken")
    other = job_file("f" * 64)
    store.write(other, b"of the other")
    work = work_of(job_digest=job.digest())
    workers = PodWorkers(lambda: api, "lockgate")
    with pytest.raises(ClusterError, match="runs already, with other settings"):
        workers._launch(api, TakenMeanwhile(api), work, job, lambda: False)
    assert store.read(other) == b"of the other"
    assert store.read(job_file(job.digest())) == job.model_dump_json().encode()


def test_a_step_that_waits_for_an_earlier_job_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "GONE_POLL", 0.0)
    wishes = iter([False, False, True])
    api = NoPods(None)
    with pytest.raises(KeyboardInterrupt):
        launcher._await_gone(api, Complete(api), work_of(), lambda: next(wishes))
