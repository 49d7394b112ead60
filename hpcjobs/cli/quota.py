"""``hpcjobs quota``: what projects may use and have left, requests for more, and the plan for Slurm's accounting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.model.tenant import BudgetState, Plan, ProjectQuota, QuotaRequest

BAR: Final = 20
"""Characters of a bar."""
HEADS: Final = ("PROJECT", "GPUS OF", "PERIOD", "USED", "OF", "LEFT", "", "EXHAUSTED")
EXAMPLE: Final = '{"quota": {"gpus": {"": 8}, "budgets": [{"period": "month", "hard_h": 1000, "soft_h": 800}]}}'


@click.group(invoke_without_command=True)
@cluster_option
@json_option
@click.pass_context
def quota(context: click.Context, cluster: str | None, as_json: bool) -> None:
    """Show what your projects may use, what is left, and when it will be used up."""
    if context.invoked_subcommand is not None:
        return
    with service() as client:
        found = client.quotas(cluster=cluster)
        print_json(found) if as_json else _show(found)


@quota.command()
@click.argument("project")
@cluster_option
@json_option
def show(project: str, cluster: str | None, as_json: bool) -> None:
    """Show one project, with its limits and the requests for more."""
    with service() as client:
        found = client.quota(project, cluster=cluster)
        asked = client.quota_requests(project, cluster=cluster)
        if as_json:
            print_json({"project": found, "requests": asked})
            return
        _show([found])
        for line in limits(found):
            click.echo(line)
        for one in asked:
            click.echo(_request_line(one))


@quota.command(name="set", help=f"Declare a project of a JSON file (- is stdin), as {EXAMPLE}. For admins.")
@click.argument("project")
@click.argument("file", type=click.File("rb"))
@cluster_option
@json_option
def set_(project: str, file: IO[bytes], cluster: str | None, as_json: bool) -> None:
    """Declare."""
    import msgspec

    from hpcjobs.model.tenant import Tenant

    with service() as client:
        tenant = msgspec.json.decode(file.read(), type=Tenant)
        found = client.declare_project(project, tenant, cluster=cluster)
        print_json(found) if as_json else _show([found])
        click.echo("hpcjobs: `hpcjobs quota plan` shows what this changes in Slurm.", err=True)


@quota.command()
@click.argument("project")
@cluster_option
def unset(project: str, cluster: str | None) -> None:
    """Declare nothing of a project any more. For admins."""
    with service() as client:
        client.withdraw_project(project, cluster=cluster)


@quota.command()
@click.argument("project")
@click.argument("file", type=click.File("rb"))
@click.option("--reason", default="", help="Why, for who decides.")
@cluster_option
@json_option
def request(project: str, file: IO[bytes], reason: str, cluster: str | None, as_json: bool) -> None:
    """Ask for more: a JSON file (- is stdin) with what should be otherwise, as {"budgets": [{"hard_h": 2000}]}."""
    import msgspec

    from hpcjobs.model.tenant import Quota, QuotaAsked

    with service() as client:
        wanted = msgspec.json.decode(file.read(), type=Quota)
        made = client.request_quota(project, QuotaAsked(wanted, reason), cluster=cluster)
        print_json(made) if as_json else click.echo(_request_line(made))


def _decision(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options of a command that decides a request."""
    note = click.option("--note", default="", help="For who asked.")
    for part in (json_option, cluster_option, note, click.argument("request_id"), click.argument("project")):
        command = part(command)
    return command


def _decide(project: str, request_id: str, note: str, cluster: str | None, *, approve: bool, as_json: bool) -> None:
    from hpcjobs.model.tenant import Decision

    with service() as client:
        made = client.decide_quota(project, request_id, Decision(approve, note), cluster=cluster)
        print_json(made) if as_json else click.echo(_request_line(made))


@quota.command()
@_decision
def approve(project: str, request_id: str, note: str, cluster: str | None, as_json: bool) -> None:
    """Grant a request. For admins and managers of a project above."""
    _decide(project, request_id, note, cluster, approve=True, as_json=as_json)


@quota.command()
@_decision
def deny(project: str, request_id: str, note: str, cluster: str | None, as_json: bool) -> None:
    """Do not grant a request. For admins and managers of a project above."""
    _decide(project, request_id, note, cluster, approve=False, as_json=as_json)


@quota.command()
@cluster_option
@json_option
def plan(cluster: str | None, as_json: bool) -> None:
    """Show what must change in Slurm's accounting. For operators; nothing is done."""
    with service() as client:
        found = client.quota_plan(cluster=cluster)
        print_json(found) if as_json else _show_plan(found, "would be made")


@quota.command()
@cluster_option
@json_option
def apply(cluster: str | None, as_json: bool) -> None:
    """Change Slurm's accounting as the plan says. For admins."""
    with service() as client:
        done = client.apply_quotas(cluster=cluster)
        print_json(done) if as_json else _show_plan(done, "made")


def bar(state: BudgetState) -> str:
    """How much of a budget is used, as ``######....``; nothing where it has no end."""
    budget = state.budget
    if budget.hard_h is None:
        return ""
    there_is = budget.hard_h + state.carried_h
    part = 1.0 if state.used_h >= there_is else state.used_h / there_is
    return ("#" * int(part * BAR)).ljust(BAR, ".")


def row(project: str, state: BudgetState) -> tuple[str, ...]:
    """A budget's line in the table."""
    budget = state.budget
    there_is = "-" if budget.hard_h is None else f"{budget.hard_h + state.carried_h:.1f}"
    left = "-" if state.left_h is None else f"{state.left_h:.1f}"
    at = state.exhausted_at
    when = "never" if at is None else "now" if state.hard_passed else f"{datetime.fromtimestamp(at, UTC):%d %B %Y}"
    passed = " (soft)" if state.soft_passed and not state.hard_passed else ""
    kind = budget.kind or "all kinds"
    return project, kind, budget.period.value, f"{state.used_h:.1f}", there_is, left, bar(state), when + passed


def limits(found: ProjectQuota) -> list[str]:
    """What a project may have at a time, a line each."""
    declared = found.tenant.quota
    lines = [f"{kind or 'all'} GPUs at a time: {count}" for kind, count in declared.gpus.items()]
    words = ("cpus", "mem_bytes", "running_jobs", "submitted_jobs", "wall_s", "storage_bytes")
    told = {word: getattr(declared, word) for word in words}
    return lines + [f"{word}: {value}" for word, value in told.items() if value is not None]


def _show(found: list[ProjectQuota]) -> None:
    from hpcjobs.cli.show import table

    rows = [row(one.project, state) for one in found for state in one.budgets]
    table(HEADS, rows, 1)
    if bare := [one.project for one in found if not one.budgets]:
        click.echo(f"hpcjobs: without a budget: {', '.join(bare)}", err=True)
    if found and not found[0].read_until and rows:
        click.echo("hpcjobs: accounting has not been read yet: nothing counts as used.", err=True)


def _request_line(one: QuotaRequest) -> str:
    decided = f" by {one.decided_by}" if one.decided_by else ""
    said = " ".join(filter(None, (one.asked.reason, one.note)))
    return f"{one.id} {one.state}{decided}, asked by {one.user}: {said or '-'}"


def _show_plan(found: Plan, done: str) -> None:
    from hpcjobs.cli.show import table

    rows = [
        (change.setting.project, change.verb.value, " ".join(filter(None, (change.setting.field, change.setting.of))),
         change.was or "-", change.value or "-", change.why)
        for change in found.changes
    ]  # fmt: skip
    table(("PROJECT", "DO", "WHAT", "FROM", "TO", "WHY"), rows, 1)
    for one in found.unmet:
        click.echo(f"hpcjobs: {one.project}: {one.field}: {one.why}", err=True)
    click.echo(f"{len(rows)} changes {done} on {found.cluster}.", err=True)
