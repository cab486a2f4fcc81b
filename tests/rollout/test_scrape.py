"""What model servers have counted and answered, read by HTTP from real, small servers."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lockgate.rollout.counts import Counts, Pair
from lockgate.rollout.policy import Mirror
from lockgate.rollout.status import Status
from serving.controller import fetch
from serving.controller.answers import Answers, Waiting
from serving.controller.labels import LabelSource
from serving.controller.ports import Rollout
from serving.controller.scale import label_scale
from serving.controller.scrape import ScrapedCounters, Server, counted, parsed
from tests.rollout.world import short

NAMES = {"stable": "tiny-aaaaaaaa", "candidate": "tiny-bbbbbbbb"}
TEXT = """\
# HELP lockgate_model_info The model that is served.
# TYPE lockgate_model_info gauge
lockgate_model_info{digest="aaaaaaaa11",model="tiny",task="multiclass"} 1.0
# TYPE lockgate_requests_total counter
lockgate_requests_total{code="200",protocol="v1"} 7.0
lockgate_requests_total{code="200",protocol="v2"} 2.0
lockgate_requests_total{code="500",protocol="v1"} 1.0
# TYPE lockgate_request_seconds histogram
lockgate_request_seconds_bucket{le="0.01",protocol="v1"} 5.0
lockgate_request_seconds_bucket{le="0.1",protocol="v1"} 7.0
lockgate_request_seconds_bucket{le="+Inf",protocol="v1"} 8.0
lockgate_request_seconds_count{protocol="v1"} 8.0
lockgate_request_seconds_sum{protocol="v1"} 1.0
lockgate_request_seconds_bucket{le="0.01",protocol="v2"} 0.0
lockgate_request_seconds_bucket{le="0.1",protocol="v2"} 2.0
lockgate_request_seconds_bucket{le="+Inf",protocol="v2"} 2.0
# TYPE lockgate_request_score histogram
lockgate_request_score_bucket{label="x",le="0.5"} 1.0
lockgate_request_score_bucket{label="x",le="1.0"} 6.0
lockgate_request_score_bucket{label="x",le="+Inf"} 6.0
lockgate_request_score_bucket{label="y, \\"z\\"",le="0.5"} 0.0
lockgate_request_score_bucket{label="y, \\"z\\"",le="1.0"} 3.0
lockgate_request_score_bucket{label="y, \\"z\\"",le="+Inf"} 3.0
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 2.5e+08
"""
COUNTS = Counts(
    codes={"200": 9, "500": 1},
    latency=(5, 4, 1),
    latency_bounds=(0.01, 0.1),
    scores={"x": (1, 5, 0), 'y, "z"': (0, 3, 0)},
    score_bounds=(0.5, 1.0),
    memory=0.25,
)


def server(url: str = "", **more: object) -> Server:
    return Server("uid", url, **{"memory": 1e9, "revision": "aaaaaaaa", **more})


@contextmanager
def answering(pages: dict[str, str], lateness: threading.Event | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if lateness is not None:
                lateness.wait()
            path, _, after = self.path.partition("?after=")
            said = pages.get(path)
            self.send_response(200 if said is not None else 404)
            self.end_headers()
            if said is not None and after:
                kept = json.loads(said)
                said = json.dumps({"next": len(kept), "answers": kept[int(after) :]})
            self.wfile.write((said or "").encode())

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def test_metrics_become_counts() -> None:
    assert parsed(TEXT, server()) == COUNTS


def test_protocols_are_summed_also_where_only_one_has_answered() -> None:
    rest = "".join(line + "\n" for line in TEXT.splitlines() if 'protocol="v2"' not in line)
    found = parsed(rest, server())
    assert found is not None
    assert (found.codes, found.latency) == ({"200": 7, "500": 1}, (5, 2, 1))


def test_empty_score_histograms_are_left_out_but_their_bounds_are_known() -> None:
    lines = (
        line.rsplit(" ", 1)[0] + " 0.0" if "score_bucket" in line else line for line in TEXT.splitlines()
    )
    found = parsed("\n".join(lines), server())
    assert found is not None
    assert (found.scores, found.score_bounds) == ({}, (0.5, 1.0))


def test_a_server_without_our_metrics_has_none() -> None:
    assert (
        parsed("# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1\n", server())
        is None
    )


def test_counts_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match="another model"):
        parsed(TEXT, server(revision="bbbbbbbb"))


def test_all_servers_are_read_and_failures_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.3)
    release = threading.Event()
    with ExitStack() as stack:
        stack.callback(release.set)
        good = stack.enter_context(answering({"/metrics": TEXT}))
        bare = stack.enter_context(answering({"/metrics": "up 1\n"}))
        none = stack.enter_context(answering({}))
        late = stack.enter_context(answering({"/metrics": TEXT}, release))
        stack.callback(release.set)
        found = counted(
            {
                "stable": [server(good), Server("late", late)],
                "candidate": [
                    Server("bare", bare),
                    Server("none", none),
                    Server("gone", late, is_leaving=True),
                ],
            }
        )
    assert found["stable"].servers == {"uid": COUNTS}
    assert found["stable"].failures == (f"{late}/metrics did not answer in 0.3 s",)
    assert found["candidate"].without == (f"{bare}/metrics has none of Lockgate's metrics",)
    assert found["candidate"].failures == (f"{none}/metrics answers with status 404",)
    assert found["candidate"].servers == {}


def test_a_server_that_ends_while_it_is_asked_is_named_with_the_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def reset() -> None:
            connection, _ = listening.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        found = counted({"stable": [server(url)], "candidate": []})
        thread.join()
    assert found["stable"].failures == (f"{url}/metrics does not answer: ReadError",)


def answer(request: str, score: float, label: str | None = "x") -> dict[str, object]:
    return {"request": request, "score": score, "label": label}


def rollout(stage: str) -> Rollout:
    spec = short().model_copy(update={"mirror": Mirror(percent=10)})
    return Rollout("tiny", "models", 1, spec, Status.model_validate({"stage": stage}))


def found_by(pairs: tuple[Pair, ...]) -> list[tuple[str, float, bool]]:
    return [(pair.request, pair.difference, pair.is_alike) for pair in pairs]


def test_copied_requests_become_pairs_once_and_older_answers_none() -> None:
    pages = {"stable": [answer("a1", 0.1)], "candidate": [answer("a1", 0.9)]}
    served = {side: {"/metrics": TEXT, "/lockgate/answers": ""} for side in pages}

    def publish() -> None:
        for side, kept in pages.items():
            served[side]["/lockgate/answers"] = json.dumps(kept)

    publish()
    with answering(served["stable"]) as stable, answering(served["candidate"]) as candidate:
        found = {"stable": [Server("s", stable)], "candidate": [Server("c", candidate)]}
        counters = ScrapedCounters(lambda *_: found)
        counters.read(rollout("preparing"), NAMES)
        pages["stable"] += [answer("b2", 0.5), answer("c3", 0.5), answer("c3", 0.6)]
        pages["candidate"] += [answer("b2", 0.75, "y")]
        publish()
        counters.read(rollout("mirroring"), NAMES)
        assert found_by(counters.pairs(rollout("mirroring"), NAMES)) == [("b2", 0.25, False)]
        pages["candidate"] += [answer("c3", 0.5), answer("c3", 0.5)]
        publish()
        counters.read(rollout("mirroring"), NAMES)
        found_pairs = counters.pairs(rollout("mirroring"), NAMES)
        assert [round(pair.difference, 6) for pair in found_pairs] == [0.0, 0.1]
        assert counters.pairs(rollout("mirroring"), NAMES) == ()
        # Nobody copies requests at a step: what comes twice there was repeated by a client.
        pages["stable"] += [answer("d4", 0.5)]
        pages["candidate"] += [answer("d4", 0.5)]
        publish()
        counters.read(rollout("stepping"), NAMES)
        assert counters.pairs(rollout("stepping"), NAMES) == ()


def test_a_server_that_begins_later_is_read_from_its_first_answer() -> None:
    answers = Answers(NAMES)
    assert answers.joined({"s": ("stable", json.dumps({"next": 5, "answers": [answer("a", 0.1)]}))}) == ()
    assert answers.path("http://x", "s") == "http://x/lockgate/answers?after=5"
    assert answers.path("http://x", "new") == "http://x/lockgate/answers?after=0"
    said = {
        "s": ("stable", json.dumps({"next": 6, "answers": [answer("b", 0.5)]})),
        "new": ("candidate", json.dumps({"next": 1, "answers": [answer("b", 0.5)]})),
    }
    assert answers.joined(said) == (Pair(difference=0.0, is_alike=True, request="b", scores=(0.5, 0.5)),)


def test_differences_of_a_regression_are_in_units_of_its_scale_and_at_most_one() -> None:
    answers = Answers(NAMES, scale=100.0)
    answers.joined({})
    both = [
        {"next": 2, "answers": [answer("a", 1000.0, None), answer("b", 0.0, None)]},
        {"next": 2, "answers": [answer("a", 1050.0, None), answer("b", 900.0, None)]},
    ]
    found = answers.joined({"s": ("stable", json.dumps(both[0])), "c": ("candidate", json.dumps(both[1]))})
    assert found_by(found) == [("a", 0.5, True), ("b", 1.0, True)]
    assert found[0].scores == (1000.0, 1050.0), "the stable's first"


def test_predicted_numbers_are_not_compared_where_the_labels_scale_is_not_known() -> None:
    answers = Answers(NAMES)
    answers.joined({})
    said = json.dumps({"next": 1, "answers": [answer("a", 1000.0, None)]})
    assert answers.joined({"s": ("stable", said), "c": ("candidate", said)}) == ()


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ('{"label": {"std": 12.5}}', 12.5),
        ('{"label": null}', None),
        ("{}", None),
        ("broken", None),
        (None, None),
    ],
)
def test_the_labels_scale_is_what_the_transform_measured(
    tmp_path: Path, text: str | None, scale: float | None
) -> None:
    if text is not None:
        (tmp_path / "transform.json").write_text(text)
    assert label_scale(str(tmp_path)) == scale


def test_the_oldest_waiting_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.controller.answers.WAITING", 2)
    waiting = Waiting()
    for request in ("a", "b", "c"):
        waiting.add(request, {"request": request})
    assert waiting.take("a") is None
    assert waiting.take("b") == {"request": "b"}
    assert waiting.take("c") == {"request": "c"}


def test_losses_come_from_where_the_labels_are(tmp_path: Path) -> None:
    spec = short(labels={"uri": str(tmp_path)})
    judged = Rollout("tiny", "models", 1, spec, Status())
    counters = ScrapedCounters(lambda *_: {}, LabelSource().losses)
    folder = tmp_path / "labels" / "tiny" / "bbbbbbbb"
    folder.mkdir(parents=True)
    line = '{"time": "2026-01-31T12:00:00Z", "candidate_loss": %s, "stable_loss": %s}\n'
    (folder / "1.jsonl").write_text(line % (0.9, 0.1))
    assert counters.losses(judged, NAMES) == (), "it may have been counted before a restart"
    (folder / "2.jsonl").write_text(line % (0.5, 0.25) + line % (0.0, 2.5))
    (folder / "3.jsonl").write_text('{"time": "now"}\n')
    assert counters.losses(judged, NAMES) == (0.25, -1.0)
    assert counters.losses(judged, NAMES) == ()
