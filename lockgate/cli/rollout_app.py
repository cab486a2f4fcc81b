"""The commands of `lockgate rollout` and their options; what they do stands in the modules beside this."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.controller.cluster.wishes import ModelRollouts

app = typer.Typer(
    help="How a new model takes the traffic of the one before: see it, hold it, end it.", no_args_is_help=True
)
ModelArgument = Annotated[str, typer.Argument(help="The model's name, such as flights.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="The namespace of the models.")]
WaitOption = Annotated[
    float | None,
    typer.Option("--wait", help="Wait so many seconds until it is done; else return at once.", min=0),
]


def _rollouts(namespace: str) -> "ModelRollouts":
    from serving.controller.cluster.wishes import ModelRollouts

    return ModelRollouts.connect(namespace)


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="A model's name. Default: all, as a table.")] = None,
    namespace: NamespaceOption = "lockgate",
) -> None:
    """Show how rollouts stand; of one model all that was measured, and what came before."""
    from lockgate.cli.rollout_view import show

    show(_rollouts(namespace), model)


@app.command()
def pause(model: ModelArgument, namespace: NamespaceOption = "lockgate", wait: WaitOption = None) -> None:
    """Keep a rollout from going on; a candidate that is bad still goes back."""
    from lockgate.cli.rollout import pause

    pause(_rollouts(namespace), model, wait)


@app.command()
def resume(model: ModelArgument, namespace: NamespaceOption = "lockgate", wait: WaitOption = None) -> None:
    """Let a paused rollout go on."""
    from lockgate.cli.rollout import resume

    resume(_rollouts(namespace), model, wait)


@app.command()
def promote(model: ModelArgument, namespace: NamespaceOption = "lockgate", wait: WaitOption = None) -> None:
    """Give the candidate all of the traffic now, whatever the evidence."""
    from lockgate.cli.rollout import promote

    promote(_rollouts(namespace), model, wait)


@app.command()
def abort(model: ModelArgument, namespace: NamespaceOption = "lockgate", wait: WaitOption = None) -> None:
    """Take the candidate back now."""
    from lockgate.cli.rollout import abort

    abort(_rollouts(namespace), model, wait)


@app.command()
def retry(model: ModelArgument, namespace: NamespaceOption = "lockgate", wait: WaitOption = None) -> None:
    """Let the candidate that was rolled back last try again."""
    from lockgate.cli.rollout import retry

    retry(_rollouts(namespace), model, wait)


@app.command()
def scale(
    model: ModelArgument,
    replicas: Annotated[int, typer.Argument(help="Pods of each revision.", min=1)],
    namespace: NamespaceOption = "lockgate",
    wait: WaitOption = None,
) -> None:
    """Give each revision of a model so many pods."""
    from lockgate.cli.rollout import scale

    scale(_rollouts(namespace), model, replicas, wait)


@app.command()
def demo(
    project: Annotated[
        Path, typer.Argument(help="The folder that holds project.yaml, such as examples/flights.")
    ] = Path(),
    bad: Annotated[
        str | None,
        typer.Option(
            "--bad", help="Roll out a copy of the champion that is spoiled: slow, errors, skewed, crash."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second.", min=1, max=2000)] = 300,
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", help="As of `lockgate run`. Default: .lockgate beside project.yaml."),
    ] = None,
) -> None:
    """Roll a model out on this machine: real servers, a real proxy, real requests, the same judgement."""
    from lockgate.cli.demo import rollout_demo

    raise typer.Exit(rollout_demo(project, workspace, bad, rate))
