"""validate: the statistics of a snapshot, the schema, and the verdict of the data gate."""

from pathlib import Path

from lockgate.data import history, schema
from lockgate.data import snapshot as snapshots
from lockgate.data.checks import rules
from lockgate.data.columns import check_columns
from lockgate.data.gate import judge
from lockgate.data.protos import statistics_list
from lockgate.data.snapshot import schema_of
from lockgate.data.statistics import profile as profile_of
from lockgate.data.tfdv import Tfdv
from lockgate.steps.step import Outcome, Run, step
from lockgate.storage import explained, write_atomically

SCHEMA_FILE = "schema.pbtxt"


@step
def validate(run: Run, snapshot: Path, *, statistics: Path, verdict: Path, page: Path) -> Outcome:
    """Judges a snapshot; a closed gate is an outcome, not an error, so that its page can be looked at.

    Args:
        run: the project's data, features, validation and slices, and the reviewed schema's text.
        snapshot: the folder that `collect` made.
        statistics: a folder to make: profile.json (a `Profile`), statistics.pb (TFDV's
            `DatasetFeatureStatisticsList`, one dataset a split), schema.pbtxt (the reviewed schema, or the
            inferred one), anomalies.pb (`Anomalies` of train, with those of the other splits beside it as
            anomalies-<split>.pb).
        verdict: a file to write, a `Verdict`.
        page: a file to write, HTML.

    Raises:
        ConfigError: project.yaml names a rule that does not exist, the schema's text is not one, or there
            is no TFDV.
        DataError: a column that project.yaml names is not there, or cannot be what it is to be.
        StorageError: the disk is full, or a folder cannot be written.
    """
    project = run.project
    rules.check_names(project.validation.severity)
    record = snapshots.load(snapshot)
    check_columns(project, schema_of(record))
    tfdv = Tfdv()
    snapshots.bring(run.workspace, record)

    profile = profile_of(run.workspace, record, project)
    run.tell(f"learnt the statistics of {len(record.columns)} columns", rows=record.rows)
    reviewed = run.settings.schema_text
    wanted = (
        schema.parse(reviewed, project.validation.schema_file) if reviewed else schema.infer(profile, tfdv)
    )
    anomalies = schema.anomalies(wanted, profile, tfdv)
    before = history.previous(run.workspace, record.content)
    decision = judge(run.workspace, record, profile, before, anomalies, project, bool(reviewed))

    with explained(statistics):
        statistics.mkdir(parents=True, exist_ok=True)
    profile.save(statistics / history.PROFILE)
    write_atomically(statistics / "statistics.pb", statistics_list(profile).SerializeToString())
    write_atomically(statistics / SCHEMA_FILE, (reviewed or schema.text_of(wanted)).encode())
    for split, found in anomalies.items():
        name = "anomalies.pb" if split == "train" else f"anomalies-{split}.pb"
        write_atomically(statistics / name, found.SerializeToString())
    decision.save(verdict)
    if decision.is_open:
        history.remember(run.workspace, profile)

    from lockgate.report.pages import validation

    label = project.data.label
    text = validation(project.name, record, profile, decision, before, label=label)
    write_atomically(page, text.encode())
    return Outcome(message=decision.sentence(), rows=record.rows, is_open=decision.is_open)
