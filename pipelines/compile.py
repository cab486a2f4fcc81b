"""Compiles the pipelines to YAML and writes what follows from code: READMEs, project.yaml's keys, the CRD.

`python -m pipelines.compile` writes; with `--check` it only says what is stale, and fails. Both let the
doctor look at the pipeline: what is wrong with it fails, what could be better is shown when it is written.
"""

import sys
from importlib import import_module
from pathlib import Path

import docstring_parser

from lockgate.reference import data_gate, markdown
from pipelines.doctor import findings
from pipelines.documents import Compiled, compiled
from pipelines.training import training_pipeline
from serving.controller import crd

ROOT = Path(__file__).parent.parent
STEPS = ("collect", "validate", "transform", "tune", "train", "evaluate", "check_serving", "push")
TEMPLATE = """# {name}

{summary}

| takes | type | |
|---|---|---|
{takes}

| gives | type | |
|---|---|---|
{gives}

Image: `{image}`. Generated from the signature by `make compile`.
"""


def wanted() -> dict[Path, str]:
    """Every generated file with the text that it should hold."""
    files = {ROOT / "pipelines" / "compiled" / "training.yaml": compiled(training_pipeline)}
    for step in STEPS:
        files[ROOT / "components" / step / "README.md"] = readme(step)
    files[ROOT / "docs" / "project-yaml.md"] = markdown()
    files[ROOT / "docs" / "data-gate.md"] = data_gate()
    files[ROOT / "manifests" / "base" / "crd.yaml"] = crd.text()
    return files


def readme(step: str) -> str:
    """A component's page: what it does, what it takes, what it gives."""
    component = getattr(import_module(f"components.{step}.component"), step)
    spec, words = component.component_spec, docstring_parser.parse(component.python_func.__doc__)
    said = {parameter.arg_name: parameter.description for parameter in words.params}
    said["Output"] = words.returns.description
    return TEMPLATE.format(
        name=step,
        summary=words.short_description,
        takes="\n".join(f"| `{n}` | {_type(v)} | {said[n]} |" for n, v in spec.inputs.items()),
        gives="\n".join(f"| `{n}` | {_type(v)} | {said[n]} |" for n, v in spec.outputs.items()),
        image=spec.implementation.container.image,
    )


def _type(value) -> str:
    return str(value.type).removeprefix("system.").removesuffix("@0.0.1")


def main() -> None:
    """Writes what is stale, or with --check names it and fails; fails where the doctor finds an error."""
    found = findings(Compiled.parse(compiled(training_pipeline)))
    stale = {path: text for path, text in wanted().items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv[1:]:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"Stale: {names}. Run `make compile` and commit the result.")
    else:
        _write(stale)
        for finding in found:
            if finding.level == "warning":
                print(finding.sentence())
    if errors := [finding.sentence() for finding in found if finding.level == "error"]:
        sys.exit("\n".join(errors))


def _write(stale: dict[Path, str]) -> None:
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
