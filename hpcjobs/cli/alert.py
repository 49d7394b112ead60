"""``hpcjobs alert``: be told of idle GPUs and of budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import given, json_option, print_json, service
from hpcjobs.cli.sendings import show_letters, tell_secret, tell_troubles, to_whom, whose

if TYPE_CHECKING:
    from hpcjobs.model.alert import Alert

HEADS: Final = ("NAME", "USER", "KIND", "OF", "TO", "SENT", "STATE")


@click.group()
def alert() -> None:
    """Be told, by mail or at a URL, when something becomes true and when it is over."""


@alert.command()
@click.argument("name")
@click.argument("kind", type=click.Choice(["idle", "quota", "forecast"]))
@to_whom
@click.option("--threshold", type=float, help="idle: busy less than this share [0.05]; quota: used more than this "
              "share [0.9]; forecast: used up within so many days [its period].")  # fmt: skip
@click.option("--for", "for_s", type=int, metavar="SECONDS", help="Only when it has been so for so long. [idle: 3600]")
@click.option("--project", help="Of this project.  [default: your own jobs, the projects you belong to]")
@click.option("--all", "everything", is_flag=True, help="Of everything that you may see.")
@click.option("--cluster", "-M", help="Only there.")
@click.option("--gpus", "min_gpus", type=float, help="idle: only jobs with so many GPUs.")
@json_option
def add(
    name: str,
    kind: str,
    to: tuple[str, ...],
    threshold: float | None,
    for_s: int | None,
    project: str | None,
    everything: bool,
    cluster: str | None,
    min_gpus: float | None,
    as_json: bool,
) -> None:
    """Be told of idle (GPUs of a running job), quota (a budget is used), or forecast (it will not last).

    As "hpcjobs alert add waste idle --project vision --gpus 8 --for 7200 -t head@example.org".
    """
    from hpcjobs.model.alert import AlertKind, AlertRequest, AlertScope

    if project and everything:
        raise click.UsageError("--project and --all exclude each other")
    scope = AlertScope.PROJECT if project else AlertScope.ALL if everything else AlertScope.OWN
    wanted = given(threshold=threshold, for_s=for_s, project=project, cluster=cluster, min_gpus=min_gpus)
    with service() as client:
        made = client.make_alert(AlertRequest(name, AlertKind(kind), to, scope=scope, **wanted))
        if as_json:
            print_json(made)
            return
        _show([made.alert])
        tell_secret(to, made.secret)


@alert.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List them; for operators everybody's."""
    with service() as client:
        found = client.alerts()
        print_json(found) if as_json else _show(found)


@alert.command()
@click.argument("name")
@whose
@json_option
def show(name: str, user: str | None, as_json: bool) -> None:
    """Show one, what is so now, and what came of its last sendings."""
    with service() as client:
        found = client.alert(name, user=user)
        if as_json:
            print_json(found)
            return
        _show([found.alert])
        for fact in found.told:
            click.echo(fact.text)
        click.echo()
        show_letters(found.letters)


@alert.command()
@click.argument("name")
@whose
def remove(name: str, user: str | None) -> None:
    """Watch it no more."""
    with service() as client:
        client.remove_alert(name, user=user)


def _show(found: list[Alert]) -> None:
    from hpcjobs.cli.show import moment, table

    rows = [
        (one.asked.name, one.user, one.asked.kind.value, one.asked.project or one.asked.scope.value,
         ",".join(one.asked.to), moment(one.sent_at or 0), one.state.value)
        for one in found
    ]  # fmt: skip
    table(HEADS, rows, None)
    tell_troubles(found)
