"""The doctor, on small pipelines that KFP's compiler has made: each breaks a rule, or just not."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest
import yaml
from kfp import dsl, kubernetes

from pipelines import doctor
from pipelines.doctor import RULES, Rule, findings
from pipelines.documents import Compiled, compiled, training
from pipelines.workflow_size import LIMIT, estimate

ROOT = Path(__file__).parents[2]
IMAGE = "docker.io/lockgate/pipeline:1.0@sha256:" + "0" * 64


def component(image: str = IMAGE, **more) -> Callable:
    return dsl.component(base_image=image, install_kfp_package=False, **more)


@component()
def push(text: str) -> bool:
    return bool(text)


@component()
def number(text: str) -> float:
    return float(text)


@component()
def text(text: str) -> str:
    return text


@component()
def lists(values: list[int], settings: dict) -> bool:
    return bool(values)


@component()
def maybe(count: Optional[int] = None, words: Optional[str] = None, most: int = 3) -> bool:  # noqa: UP045
    return count is None


@component()
def one_page(page: dsl.Output[dsl.HTML], other: dsl.Output[dsl.Artifact]) -> bool:
    return True


@component()
def two_pages(page: dsl.Output[dsl.HTML], other: dsl.Output[dsl.HTML]) -> bool:
    return True


@component("docker.io/lockgate/pipeline")
def without_tag() -> bool:
    return True


@component("registry.example.org:5000/lockgate/pipeline:latest")
def with_latest() -> bool:
    return True


@component("registry.example.org:5000/lockgate/pipeline:1.0")
def with_tag() -> bool:
    return True


@component(packages_to_install=["six"])
def installing() -> bool:
    return True


@dsl.component(base_image=IMAGE)
def installing_kfp() -> bool:
    return True


@dsl.container_component
def bare():
    return dsl.ContainerSpec(image=IMAGE, command=["echo"])


def made(body: Callable[[], None]) -> Compiled:
    """The function's tasks as a compiled pipeline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Compiled.parse(compiled(dsl.pipeline(name="small")(body)))


def only(task: Callable, **inputs: str) -> Callable[[], None]:
    """A pipeline of one task."""

    def body():
        task(**inputs)

    return body


def found(rule: Rule, body: Callable[[], None]) -> list[tuple[str, str]]:
    """What a rule finds: levels and subjects."""
    return [(finding.level, finding.subject) for finding in rule(made(body))]


def test_a_cached_push_is_an_error_even_in_a_group():
    def cached():
        first = text(text="a")
        with dsl.If(first.output == "a"):
            push(text="a")

    def uncached():
        push(text="a").set_caching_options(False)
        text(text="a")

    assert found(doctor.cached_effects, cached) == [("error", "push")]
    assert found(doctor.cached_effects, uncached) == []


def test_images_need_a_tag_and_in_production_a_digest():
    def images():
        without_tag()
        with_latest()
        with_tag()
        push(text="a")

    assert found(doctor.unpinned_images, images) == [
        ("error", "docker.io/lockgate/pipeline"),
        ("warning", "registry.example.org:5000/lockgate/pipeline:1.0"),
        ("error", "registry.example.org:5000/lockgate/pipeline:latest"),
    ]


def test_a_second_page_of_a_task_is_an_error():
    def pages():
        one_page()
        two_pages()

    assert found(doctor.several_pages, pages) == [("error", "two-pages")]


def test_the_size_as_a_workflow_is_always_told_and_too_much_is_an_error():
    def sized(size: int) -> Callable[[], None]:
        def body():
            text(text="x" * size)

        return body

    assert found(doctor.workflow_size, sized(10)) == [("info", "small")]
    assert found(doctor.workflow_size, sized(LIMIT * 3 // 10)) == [("warning", "small")]
    assert found(doctor.workflow_size, sized(LIMIT)) == [("error", "small")]
    grown = estimate(made(sized(5000))) - estimate(made(sized(1000)))
    assert grown == 2 * 4000  # in the task, and in the component around it


def test_the_estimate_is_near_the_workflow_that_the_backend_makes():
    """Of this pipeline KFP's own tests have the workflow: 9,928 characters."""
    program = "#" * 330 + "\n" * 14 + '"' * 10  # as long as that one's
    command = ["sh", "-ec", "#" * 60 + "\n" * 4 + '"' * 10, program]
    arguments = ["--text", "{{$.inputs.parameters['text']}}"]
    container = {"image": "python:3.9", "command": command, "args": arguments}
    inputs = {"parameters": {"text": {"type": "STRING"}}}
    task = {
        "cachingOptions": {"enableCache": True},
        "componentRef": {"name": "comp-hello-world"},
        "inputs": {"parameters": {"text": {"componentInputParameter": "text"}}},
        "taskInfo": {"name": "hello-world"},
    }
    spec = {
        "components": {"comp-hello-world": {"executorLabel": "exec-hello-world", "inputDefinitions": inputs}},
        "deploymentSpec": {"executors": {"exec-hello-world": {"container": container}}},
        "root": {"dag": {"tasks": {"hello-world": task}}, "inputDefinitions": inputs},
    }
    assert estimate(Compiled(spec, {}), {"text": "hi there"}) == pytest.approx(9928, rel=0.05)


def test_quotes_count_twice_and_a_runs_arguments_once():
    small = made(only(text, text="a"))
    plain = estimate(small, {"settings": "x" * 1000}) - estimate(small, {"settings": ""})
    quoted = estimate(small, {"settings": '"' * 1000}) - estimate(small, {"settings": ""})
    assert (plain, quoted) == (1000, 4000)


def test_conditions_on_text_are_named_those_on_booleans_not():
    def conditions():
        with dsl.If(text(text="a").output == "yes", name="on-text"):
            push(text="a")
        with dsl.If(push(text="a").output == True, name="on-boolean"):  # noqa: E712
            number(text="1")

    compiled_titles = made(conditions).titles()
    assert [compiled_titles[name] for _, name in found(doctor.conditions_on_text, conditions)] == ["on-text"]


def test_lists_and_dicts_are_named():
    def body():
        lists(values=[1], settings={})
        maybe()

    assert found(doctor.lists_and_dicts, body) == [("warning", "lists")] * 2


def test_a_number_that_may_be_absent_is_named_a_default_or_a_text_is_fine():
    words = [finding.words for finding in doctor.absent_numbers(made(only(maybe)))]
    assert len(words) == 1
    assert words[0].startswith("takes count,")


def test_a_float_that_is_returned_is_told():
    assert found(doctor.floats_returned, only(number, text="1")) == [("info", "number")]


def test_retries_and_what_kubernetes_alone_knows_are_told():
    def body():
        task = text(text="a").set_retry(2)
        kubernetes.set_timeout(task, 60)
        kubernetes.use_secret_as_env(task, "secret", {"key": "NAME"})

    assert found(doctor.retries, body) == [("info", "text")]
    words = [finding.words for finding in doctor.platform_settings(made(body))]
    assert words == ["has activeDeadlineSeconds, secretAsEnv, which the local runner ignores"]


def test_installing_at_the_start_is_an_error():
    def body():
        installing()
        installing_kfp()
        text(text="a")

    assert found(doctor.installs, body) == [("error", "installing"), ("error", "installing-kfp")]


def test_a_container_of_its_own_is_named():
    def body():
        bare()
        text(text="a")

    assert found(doctor.foreign_containers, body) == [("warning", "bare")]


def test_a_task_that_requests_no_memory_is_named():
    def body():
        text(text="a").set_memory_request("1Gi")
        number(text="1").set_cpu_request("1")

    assert found(doctor.missing_requests, body) == [("warning", "number")]


def test_groups_in_groups_are_named():
    def flat():
        with dsl.If(push(text="a").output == True):  # noqa: E712
            number(text="1")

    def deep():
        outer = push(text="a")
        with dsl.If(outer.output == True):  # noqa: E712
            inner = push(text="b")
            with dsl.If(inner.output == True):  # noqa: E712
                number(text="1")

    assert found(doctor.deep_groups, flat) == []
    assert found(doctor.deep_groups, deep) == [("warning", "small")]


def test_every_rule_has_a_test_here():
    text_of_this = Path(__file__).read_text()
    assert [rule.__name__ for rule in RULES if f"doctor.{rule.__name__}" not in text_of_this] == []


def test_our_own_pipeline_has_no_error_and_no_fault_but_images_without_digest():
    told = findings(training())
    assert {finding.rule for finding in told if finding.level == "warning"} == {"unpinned_images"}
    assert [finding for finding in told if finding.level == "error"] == []


def test_errors_come_first():
    def body():
        push(text="a")
        with_latest()

    levels = [finding.level for finding in findings(made(body))]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)
    assert levels[0] == "error"


def test_an_error_fails_lint_and_is_named():
    """The check is run for real, with a rule that our pipeline breaks."""
    script = (
        "import sys, pipelines.compile as c, pipelines.doctor as d; "
        "d.NEVER_CACHED = d.NEVER_CACHED | {'train'}; sys.argv.append('--check'); c.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert "error: train may be taken from the cache" in done.stderr


def test_the_command_line_examines_a_file(tmp_path, lockgate):
    spec = made(only(push, text="a"))
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(spec.pipeline))
    done = lockgate("pipeline", "doctor", tmp_path / "pipeline.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("error: push may be taken from the cache")
    assert lockgate("pipeline", "doctor").returncode == 0


@pytest.mark.parametrize("content", ["", "a: 1", "[1, 2]", "- {", "\x00"])
def test_what_is_no_compiled_pipeline_is_said_to_be_none(tmp_path, lockgate, content):
    (tmp_path / "x.yaml").write_text(content)
    done = lockgate("pipeline", "doctor", tmp_path / "x.yaml")
    assert done.returncode == 2, done.stderr
    assert "is no compiled pipeline" in done.stderr


def test_the_command_line_examines_a_project_whose_images_are_pinned(example, lockgate):
    pinned = {name: f"registry.example.org/{name}:1@sha256:{'0' * 64}" for name in ("pipeline", "trainer")}
    done = lockgate("pipeline", "doctor", example("penguins", cluster={"images": pinned}))
    assert done.returncode == 0, done.stderr
    assert "lockgate-training is about" in done.stdout
    assert "warning" not in done.stdout
