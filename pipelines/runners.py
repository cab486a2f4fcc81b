"""What the pipeline is given, and how it runs here: by KFP's local runner."""

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import lockgate
from lockgate.config import read_code
from lockgate.progress import EVENTS_VARIABLE
from lockgate.project import Cluster, Project, Push, Rollout
from lockgate.run_folder import STEPS, RunFolder
from lockgate.steps.step import REUSE_VARIABLE, Settings
from lockgate.workspace import Workspace

# What each step reads of project.yaml besides name, task and data: sections, or keys of sections. A change
# elsewhere, of a gate's limit for instance, leaves its results valid, so they can be reused.
SECTIONS: dict[str, tuple[str, ...]] = {
    "collect": ("split",),
    "validate": ("split", "features", "validation", "evaluate.slices", "evaluate.fairness"),
    "transform": ("split", "features", "crosses", "selection", "train"),
    "tune": ("split", "model", "train", "tune", "evaluate.metric", "cluster"),
    "train": ("split", "features", "crosses", "model", "train", "evaluate.metric", "cluster"),
    "evaluate": ("split", "features", "evaluate", "description"),
    "check_serving": ("split", "features", "serving"),
    "push": ("split", "features", "serving", "description", "cluster", "push", "rollout"),
}
# How a run is submitted; the images are known to a cache by themselves.
OUTSIDE = ("endpoint", "experiment", "service_account", "workspace", "images")
READS_CODE = ("collect", "tune", "train")


def pipeline_arguments(
    project: Project, folder: Path, workspace: Workspace, *, look_at_source: bool = True
) -> dict[str, str]:
    """The pipeline's parameters: the workspace and what each step is to know, as JSON.

    They are all that results depend on, so they are what a cache may go by: the sections that the step
    reads, the source's files, the user's code, the reviewed schema and Lockgate's own version.

    Args:
        project: the project, its source resolved.
        folder: where project.yaml lies, and beside it the schema and the user's Python file.
        workspace: what outlives the run.
        look_at_source: whether to look which files the source has now; a recurring run does not.

    Raises:
        ConfigError: the user's Python file cannot be read.
        DataError: nothing is at the source.
        StorageError: the source's bucket cannot be reached.
    """
    from lockgate.data.fingerprint import fingerprint

    code, version = read_code(project, folder), code_version()
    seen = fingerprint(project.data.source, folder) if look_at_source else ""
    schema = folder / project.validation.schema_file
    project = _known_to_steps(project, workspace)
    arguments = {"workspace": workspace.address}
    for step, sections in SECTIONS.items():
        settings = Settings(
            project=project.only(*sections),
            version=version,
            code=code if step in READS_CODE else {},
            schema_text=schema.read_text(encoding="utf-8") if step == "validate" and schema.exists() else "",
            source_version=seen if step == "collect" else "",
        )
        # A rollout's limit that was written wins over the evaluation's, also where it is the default.
        shown = {"exclude_unset": True} if step == "push" else {"exclude_defaults": True}
        arguments[f"{step}_settings"] = settings.model_dump_json(**shown)
    return arguments


def _known_to_steps(project: Project, workspace: Workspace) -> Project:
    """Without what no step reads: a change there must not make results look stale.

    That is where and as whom a run is submitted; and on this machine, all about a cluster.
    """
    if not workspace.is_remote:
        return project.model_copy(update={"cluster": Cluster(), "push": Push(), "rollout": Rollout()})
    outside = {name: Cluster.model_fields[name].default for name in OUTSIDE}
    return project.model_copy(update={"cluster": project.cluster.model_copy(update=outside)})


def code_version() -> str:
    """Lockgate's version and a digest of its source: results of other code are not reused."""
    source = Path(lockgate.__file__).parent
    total = hashlib.sha256()
    for file in sorted(source.rglob("*.py")):
        if "report" not in file.parts and "cli" not in file.parts:
            total.update(file.read_bytes())
    return f"{lockgate.__version__}+{total.hexdigest()[:12]}"


def run_locally(arguments: dict[str, str], run: RunFolder, reuse: Sequence[str] = ()) -> None:
    """Runs the training pipeline in processes of this machine; returns when it ended.

    Args:
        arguments: as `pipeline_arguments` gives them.
        run: the folder to run in; the steps' output goes to its log.
        reuse: steps whose earlier results may be taken where nothing they depend on has changed.

    Raises:
        RuntimeError: a step failed; its last event says how.
    """
    from kfp import local

    from pipelines.training import training_pipeline

    if unknown := set(reuse) - set(STEPS):
        raise ValueError(f"no such steps: {', '.join(sorted(unknown))}")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(run.path), raise_on_error=True)
    # Every step is a process of its own, so byte code pays, even where the shell asks Python not to write it.
    with _environment(**{REUSE_VARIABLE: ",".join(reuse), "PYTHONDONTWRITEBYTECODE": ""}), logged(run):
        training_pipeline(**arguments)


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def logged(run: RunFolder) -> Iterator[None]:
    """Sends to the run's log what KFP and the steps print, and to its events what they report."""
    with run.log.open("a", encoding="utf-8", buffering=1) as file, contextlib.ExitStack() as stack:
        stack.enter_context(_environment(**{EVENTS_VARIABLE: str(run.events)}))
        stack.enter_context(contextlib.redirect_stdout(file))
        stack.enter_context(contextlib.redirect_stderr(file))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # KFP warns of images without "python" in their name
        handler = logging.StreamHandler(file)
        root = logging.getLogger()
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
        yield
