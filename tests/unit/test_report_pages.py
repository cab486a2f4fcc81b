"""Every page renders for every task and edge, escapes what comes from data, and fetches nothing."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.data.profile import Profile
from lockgate.evaluation.record import Confusion, EvaluationRecord
from lockgate.project import Data, Project
from lockgate.report import evaluation_page, pages
from lockgate.report.document import Section, document
from lockgate.report.whole import Findings, gather, outcome, report, write_report
from lockgate.run_folder import RunFolder
from lockgate.workspace import Workspace
from tests.unit.report_evaluations import binary
from tests.unit.report_html import check
from tests.unit.report_records import (
    HOSTILE,
    UNICODE,
    a_profile,
    a_serving,
    a_snapshot,
    a_spec,
    a_training,
    a_verdict,
    category,
)
from tests.unit.report_tasks import RECORDS

PROJECT = Project(name="wine", task="binary", data=Data(source="wine.csv", label="cultivar"))


def whole() -> Findings:
    profile = a_profile()
    return Findings(
        snapshot=a_snapshot(profile),
        profile=profile,
        previous=a_profile(1),
        features=a_spec(),
        training=a_training(),
        evaluation=binary(),
        serving=a_serving(),
        verdicts=(a_verdict("data"), a_verdict("model"), a_verdict("serving", closed=True)),
    )


def test_the_whole_report_needs_nothing_beside_it_and_is_the_same_each_time() -> None:
    found = whole()
    html = report(PROJECT, found, when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    check(html)
    assert html == report(PROJECT, found, when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    assert len(html.encode()) < 600_000
    for words in (
        "Data gate",
        "Learning curves",
        "Worst mistakes",
        "Serving check",
        "2026-01-02 03:04 UTC",
        "Rejected",
    ):
        assert words in html


def test_the_report_is_the_same_in_another_process() -> None:
    code = (
        "from tests.unit.report_records import a_verdict; from tests.unit.report_evaluations import binary;"
        "from lockgate.report import pages; import hashlib;"
        "html = pages.evaluation('x', binary(), a_verdict('model'));"
        "print(hashlib.sha256(html.encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_evaluation_page_of_each_task(task: str) -> None:
    html = pages.evaluation("wine", RECORDS[task](), a_verdict("model"))
    check(html)
    assert UNICODE in html
    ids = {s.id for s in evaluation_page.sections(RECORDS[task]())}
    expected = {
        "binary": {"decision", "slices", "fairness", "importance", "mistakes"},
        "multiclass": {"classes"},
    }
    assert {"evaluation", "curves"} | expected.get(task, set()) <= ids
    assert ("decision" in ids) == (task == "binary")


def test_names_and_values_from_data_are_escaped_everywhere_pictures_included() -> None:
    profile = Profile(
        snapshot="a" * 64,
        splits={s: {HOSTILE: category([HOSTILE, "b"]), UNICODE: category(["x"])} for s in ("train", "test")},
    )
    html = [
        pages.validation(HOSTILE, a_snapshot(profile), profile, a_verdict(), a_profile(), label=HOSTILE),
        pages.training(HOSTILE, a_training(), a_spec()),
        pages.evaluation(HOSTILE, RECORDS["binary"](), a_verdict("model")),
        pages.evaluation(HOSTILE, RECORDS["multiclass"](), a_verdict("model")),
        pages.evaluation(
            HOSTILE, RECORDS["regression"]().model_copy(update={"label": HOSTILE}), a_verdict("model")
        ),
        pages.serving(HOSTILE, a_serving(), a_verdict("serving")),
    ]
    for page in html:
        check(page)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_the_distance_to_the_champion_is_told_where_there_is_one() -> None:
    told = pages.evaluation("flights", binary(), a_verdict("model"))
    assert "3.4% of the rows are decided otherwise (at most 4.1%), scores differ by 0.021 on average" in told
    assert "Beside the champion" not in pages.evaluation("flights", binary(others=False), a_verdict("model"))


def test_first_model_without_champion_baselines_or_costs() -> None:
    record = binary(others=False)
    bare = record.model_copy(
        update={
            "threshold": None,
            "curves": (),
            "calibration": (),
            "histograms": (),
            "slices": (),
            "fairness": (),
            "mistakes": (),
            "importance": (),
            "confusion": None,
        }
    )
    for one in (record, bare):
        html = pages.evaluation("wine", one, a_verdict("model"))
        check(html)
        assert "this is the first model" in html
        assert "better by" not in html


def test_a_metric_that_is_not_defined_is_a_dash() -> None:
    record = binary(others=False)
    broken = record.network.metrics[0].model_copy(update={"value": float("nan"), "low": None, "high": None})
    network = record.network.model_copy(update={"metrics": (broken,)})
    check(pages.evaluation("wine", record.model_copy(update={"models": (network,)}), a_verdict("model")))


def test_many_classes_show_the_pairs_most_often_confused() -> None:
    names = tuple(f"class {k}" for k in range(60))
    counts = tuple(
        tuple(900 if i == j else (77 if (i, j) == (3, 5) else 0) for j in range(60)) for i in range(60)
    )
    record: EvaluationRecord = RECORDS["multiclass"]()
    html = pages.evaluation(
        "many",
        record.model_copy(update={"classes": names, "confusion": Confusion(classes=names, counts=counts)}),
        a_verdict("model"),
    )
    check(html)
    assert "most often taken for another" in html
    assert re.search(r"class 3</th><td>class 5</td><td class=.n.>77</td>", html)


@pytest.mark.parametrize("epochs", [0, 1, 40])
def test_training_of_any_length(epochs: int) -> None:
    html = pages.training("wine", a_training(epochs, trials=epochs > 1, baselines=epochs > 1), a_spec())
    check(html)
    assert ("No epoch was finished" in html) == (epochs == 0)


def test_how_a_run_ended() -> None:
    assert outcome(Findings())[1] == "Stopped"
    assert "train" in outcome(Findings(training=a_training()))[2]
    kind, word, sentence = outcome(Findings(verdicts=(a_verdict("data", closed=True),)))
    assert (kind, word) == ("bad", "Rejected")
    assert "ash alone tells the label" in sentence


def test_steps_that_did_not_run_are_left_out_with_a_sentence() -> None:
    profile = a_profile()
    found = Findings(
        snapshot=a_snapshot(profile), profile=profile, verdicts=(a_verdict("data", closed=True),)
    )
    html = report(PROJECT, found)
    check(html)
    assert "nothing on the training, the evaluation, the serving check" in html
    assert "the data gate is closed" in html


def test_the_report_is_made_from_what_the_steps_left_in_the_run_folder(tmp_path: Path) -> None:
    run, workspace = RunFolder(tmp_path / "20260102-030405"), Workspace(tmp_path)
    found = whole()
    at = run.path / "training-1"
    for place, record in (
        ("collect/snapshot/snapshot.json", found.snapshot),
        ("validate/statistics/profile.json", found.profile),
        ("validate/verdict", found.verdicts[0]),
        ("transform/features/spec.json", found.features),
        ("train/training/training.json", found.training),
        ("evaluate/evaluation/evaluation.json", found.evaluation),
        ("evaluate/verdict", found.verdicts[1]),
        ("check-serving/record", found.serving),
        ("check-serving/verdict", found.verdicts[2]),
    ):
        assert record is not None
        (at / place).parent.mkdir(parents=True, exist_ok=True)
        record.save(at / place)
    read = gather(run, workspace)
    assert read.evaluation is not None
    assert read.evaluation.digest() == binary().digest()
    assert read.verdict("serving") == found.verdicts[2]
    html = write_report(PROJECT, run, workspace).read_text(encoding="utf-8")
    check(html)
    assert "2026-01-02 03:04 UTC" in html
    assert "Serving check" in html


def test_two_sections_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id in one document: a"):
        document("x", [Section(id="a", title="A", body=""), Section(id="a", title="B", body="")])
