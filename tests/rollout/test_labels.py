"""Late labels, from the files that whoever has them writes."""

import json

from lockgate.rollout.status import Status
from serving.controller.labels import LabelSource
from serving.controller.ports import Rollout
from serving.controller.scrape import ScrapedCounters
from tests.rollout.world import CANDIDATE, MODEL, STABLE, short

NAMES = {"stable": STABLE, "candidate": CANDIDATE}


def rollout(**labels):
    return Rollout(MODEL, "models", 1, short(labels=labels), Status(stage="stepping"))


def counters():
    return ScrapedCounters(lambda *_: {"stable": [], "candidate": []}, LabelSource().losses)


def write(folder, name, *losses, candidate=CANDIDATE):
    place = folder / "labels" / MODEL / candidate.rsplit("-", 1)[1]
    place.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"time": "2026-01-01T00:00:00Z", "candidate_loss": ours, "stable_loss": theirs})
        for ours, theirs in losses
    ]
    (place / name).write_text("\n".join(lines))


def test_without_an_address_there_are_none():
    assert counters().losses(rollout(), NAMES) == ()


def test_each_file_is_told_of_once_and_those_of_before_never(tmp_path):
    asked, source = rollout(uri=str(tmp_path)), counters()
    write(tmp_path, "a.jsonl", (0.9, 0.1))
    assert source.losses(asked, NAMES) == ()
    write(tmp_path, "b.jsonl", (0.5, 0.25), (0.0, 1.0))
    assert source.losses(asked, NAMES) == (0.25, -1.0)
    assert source.losses(asked, NAMES) == ()
    write(tmp_path, "c.jsonl", (0.5, 0.5))
    assert source.losses(asked, NAMES) == (0.0,)


def test_another_candidates_labels_are_not_this_ones(tmp_path):
    asked, source = rollout(uri=str(tmp_path)), counters()
    assert source.losses(asked, NAMES) == ()
    write(tmp_path, "b.jsonl", (0.5, 0.25), candidate=f"{MODEL}-cccccccc")
    assert source.losses(asked, NAMES) == ()


def test_what_is_known_of_one_candidate_is_forgotten_with_it_and_never_counted(tmp_path):
    source = LabelSource()
    asked, other = rollout(uri=str(tmp_path)), {**NAMES, "candidate": f"{MODEL}-cccccccc"}
    assert source.losses(asked, NAMES) == ()
    write(tmp_path, "a.jsonl", (0.5, 0.25))
    assert source.losses(asked, other) == ()
    assert source.losses(asked, NAMES) == (), "it may have been counted before"
    write(tmp_path, "b.jsonl", (0.5, 0.25))
    assert source.losses(asked, NAMES) == (0.25,)


def test_a_file_that_is_no_such_file_is_left_out(tmp_path, caplog):
    asked, source = rollout(uri=str(tmp_path)), counters()
    source.losses(asked, NAMES)
    write(tmp_path, "b.jsonl", (0.5, 0.25))
    (tmp_path / "labels" / MODEL / "bbbbbbbb" / "a.jsonl").write_text("no JSON\n")
    assert source.losses(asked, NAMES) == (0.25,)
    assert "a.jsonl" in caplog.text
