"""What happens in one test: the requests' answers and the ModelRollout's events."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.cluster.rollout.scene import Scene


class Noted:
    """What happened since a test began."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self.requests = scene, scene.traffic.window()
        self.began = datetime.now(UTC).replace(microsecond=0)
        # By the second alone, the last ones of the test before would be among this one's.
        self._before = {version(event) for event in self._told()}

    def events(self) -> list[tuple[str, str]]:
        """Reasons and sentences of the events since then, the oldest first."""
        told = [event for event in self._told() if version(event) not in self._before]
        return [(event["reason"], event.get("note", "")) for event in sorted(told, key=version)]

    def _told(self) -> list[dict[str, Any]]:
        """All of the ModelRollout's events."""
        found = self._scene.kubectl.get("events.v1.events.k8s.io", namespace=self._scene.namespace)["items"]
        return [event for event in found if event["regarding"]["kind"] == "ModelRollout"]

    def reasons(self) -> list[str]:
        """Their reasons."""
        return [reason for reason, _ in self.events()]

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return (datetime.now(UTC) - self.began).total_seconds()

    def show(self) -> None:
        """Prints what was measured."""
        lost = {f"{code} {by or 'without a revision'}": n for (code, by), n in self.requests.lost().items()}
        rate = self.requests.total / self.seconds
        print(f"\n{self.requests.total} requests in {self.seconds:.0f} s ({rate:.0f} a second), lost {lost}")
        for reason, sentence in self.events():
            print(f"  {reason}: {sentence}")


@contextmanager
def noted_of(scene: Scene) -> Iterator[Noted]:
    """Notes the requests and the events of a test, and prints the figures at its end."""
    noted = Noted(scene)
    yield noted
    noted.show()


def version(event: Mapping[str, Any]) -> int:
    """Grows with every write to the API server."""
    return int(event["metadata"]["resourceVersion"])


def happened(event: Mapping[str, Any]) -> datetime:
    """When an event was told last."""
    series = event.get("series") or {}
    text = (
        series.get("lastObservedTime")
        or event.get("eventTime")
        or event.get("deprecatedLastTimestamp")
        or event["metadata"]["creationTimestamp"]
    )
    return datetime.fromisoformat(text)
