"""The rollout's page: how it ended, the evidence beside its limits, every event; whatever the end."""

import re
from pathlib import Path

import pytest

from lockgate.report import pages, rollout_page
from lockgate.report.whole import gather, report
from lockgate.rollout.record import Happening, RolloutRecord
from lockgate.run_folder import RunFolder
from lockgate.workspace import Workspace
from tests.unit.report_html import check
from tests.unit.report_records import HOSTILE
from tests.unit.report_rollouts import RECORDS
from tests.unit.test_report_pages import PROJECT

PICTURES = {"candidate’s share", "Requests answered", "it is bad", "next step is safe"}


@pytest.fixture(scope="module")
def records() -> dict[str, RolloutRecord]:
    return {name: make() for name, make in RECORDS.items()}


@pytest.mark.parametrize(
    ("name", "word", "reason"),
    [
        ("good", "Promoted", "every measure stayed within its margin"),
        ("errors", "Rolled back", "of the requests failed"),
        ("slow", "Rolled back", "of the requests took more than"),
        ("memory", "Rolled back", "needed more memory than its limit"),
    ],
)
def test_the_page_says_how_the_rollout_ended_and_why(
    records: dict[str, RolloutRecord], name: str, word: str, reason: str
) -> None:
    record = records[name]
    html = pages.rollout(record)
    check(html)
    head = html[html.index('class="outcome') :]
    head = head[: head.index("</p>")]
    assert word in head
    assert reason in head.replace("Every", "every")
    for happening in record.happenings:
        assert happening.sentence.split("'")[0] in html


def test_evidence_that_passed_its_limit_fills_its_bar_and_other_does_not(
    records: dict[str, RolloutRecord],
) -> None:
    html = pages.rollout(records["errors"])
    bars = re.findall(r'aria-label="([\d,.]+) to 1, the limit is 100 to 1"><rect [^>]*width="([\d.]+)"', html)
    full = {float(width) for odds, width in bars if float(odds.replace(",", "")) >= 100}
    rest = {float(width) for odds, width in bars if float(odds.replace(",", "")) < 100}
    assert full == {80.0}
    assert rest
    assert max(rest) < 80


def test_a_whole_rollout_has_all_pictures_and_each_weight_in_them(records: dict[str, RolloutRecord]) -> None:
    record = records["good"]
    html = pages.rollout(record)
    titles = re.findall(r"<figcaption>(.*?)</?(?:small|figcaption)", html)
    assert all(any(words in title for title in titles) for words in PICTURES)
    evidence = html[html.index('id="rollout-evidence"') :]
    for weight in record.weights:
        assert evidence.count(f">{weight} %</text>") == 2


def test_evidence_stays_within_its_frame(records: dict[str, RolloutRecord]) -> None:
    record = records["good"]
    # Beyond what a float holds as odds: 10^10000 to 1.
    far = [m.model_copy(update={"total": 23026.0, "in_favour": {"errors": -23026.0}}) for m in record.moments]
    check(pages.rollout(record.model_copy(update={"moments": tuple(far)})))


def test_a_rollout_that_was_cut_off_has_a_page(records: dict[str, RolloutRecord]) -> None:
    record = records["good"].model_copy(
        update={"outcome": "", "message": "", "moments": (), "happenings": (), "readings": ()}
    )
    html = pages.rollout(record)
    check(html)
    for words in ("Not ended", "no second look", "never judged", "Nothing was told"):
        assert words in html


def test_lost_requests_are_told_and_names_are_escaped(records: dict[str, RolloutRecord]) -> None:
    told = Happening(seconds=1.0, kind="Warning", reason=HOSTILE, sentence=HOSTILE)
    record = records["errors"].model_copy(
        update={"failed": 7, "failed_stable": 2, "stable": HOSTILE, "message": HOSTILE, "happenings": (told,)}
    )
    html = pages.rollout(record)
    check(html)
    assert HOSTILE not in html
    assert re.search(r'<dd class="bad">7 <small[^>]*>2 of the stable’s', html)


def test_the_report_of_a_run_ends_with_its_rollout(records: dict[str, RolloutRecord], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "20260102-030405")
    run.path.mkdir(parents=True)
    found = gather(run, Workspace(tmp_path))
    assert "rollout" not in report(PROJECT, found).lower().split("</style>")[1]
    records["errors"].save(run.rollout)
    found = gather(run, Workspace(tmp_path))
    html = report(PROJECT, found)
    check(html)
    assert found.rollout == records["errors"]
    summary = html[: html.index("<section")]
    assert '<a href="#rollout">Rollout</a>' in summary
    assert rollout_page.outcome(records["errors"])[2].split("(")[0] in summary
