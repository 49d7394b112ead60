"""``hpcjobs quota``: what projects may use and have left, requests for more, and the plan for Slurm's accounting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.model.qos import Qos
    from hpcjobs.model.storage import StorageState
    from hpcjobs.model.tenant import BudgetState, Plan, ProjectQuota, Quota, QuotaRequest

BAR: Final = 20
"""Characters of a bar."""
HEADS: Final = ("PROJECT", "WHAT", "PERIOD", "USED", "OF", "LEFT", "", "EXHAUSTED")
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
    return filled(part)


def filled(part: float) -> str:
    """A bar of which so much is full."""
    return ("#" * int(part * BAR)).ljust(BAR, ".")


def row(project: str, state: BudgetState) -> tuple[str, ...]:
    """A budget's line in the table."""
    budget = state.budget
    there_is = "-" if budget.hard_h is None else f"{budget.hard_h + state.carried_h:.1f}"
    left = "-" if state.left_h is None else f"{state.left_h:.1f}"
    what = f"GPU-hours of {budget.kind}" if budget.kind else "GPU-hours"
    return project, what, budget.period.value, f"{state.used_h:.1f}", there_is, left, bar(state), when(state)


def when(state: BudgetState | StorageState) -> str:
    """When nothing is left, and that a soft bound is passed."""
    at = state.exhausted_at
    said = "now" if state.hard_passed else "never" if at is None else f"{datetime.fromtimestamp(at, UTC):%d %B %Y}"
    return said + (" (soft)" if state.soft_passed and not state.hard_passed else "")


def storage_row(project: str, quota: Quota, state: StorageState) -> tuple[str, ...]:
    """A project's line of files in the table; what was not measured is not there."""
    from hpcjobs.tenants.storage import size

    hard = quota.storage_bytes
    there_is = "-" if hard is None else size(hard)
    if state.used_bytes is None:
        return project, "files", "-", "?", there_is, "?", "", "not known"
    full = "" if hard is None else filled(min(state.used_bytes / hard, 1.0) if hard else 1.0)
    left = "-" if state.left_bytes is None else size(state.left_bytes)
    return project, "files", "-", size(state.used_bytes), there_is, left, full, when(state)


def limits(found: ProjectQuota) -> list[str]:
    """What a project may have at a time, a line each."""
    declared, held = found.tenant.quota, found.held
    lines = [
        f"{kind or 'all'} GPUs at a time: {count}{_in_use(held.gpus.get(kind, 0) if held else None)}"
        for kind, count in declared.gpus.items()
    ]
    words = ("cpus", "mem_bytes", "running_jobs", "submitted_jobs", "wall_s", "storage_bytes", "storage_soft_bytes")
    told = {word: getattr(declared, word) for word in words}
    lines += [
        f"{word}: {value}{_in_use(getattr(held, word, None))}" for word, value in told.items() if value is not None
    ]
    return lines + [qos_line(name, qos, found.tenant.default_qos) for name, qos in found.tenant.qos.items()]


def _in_use(amount: int | None) -> str:
    return "" if amount is None else f", {amount} in use"


def qos_line(name: str, qos: Qos, default: str | None) -> str:
    """What a QOS gives and allows."""
    import msgspec

    said = msgspec.to_builtins(qos)
    limits = [f"{word} {count}" for word, count in said.items() if not isinstance(count, dict | tuple)]
    limits += [
        f"{word} {kind or 'all'} {count}"
        for word in ("gpus", "user_gpus")
        for kind, count in said.get(word, {}).items()
    ]
    limits += [f"preempts {' '.join(qos.preempts)}"] if qos.preempts else []
    return f"--qos {name}{' (default)' if name == default else ''}: {', '.join(limits) or 'no limits'}"


def _show(found: list[ProjectQuota]) -> None:
    from hpcjobs.cli.show import table

    hours = [row(one.project, state) for one in found for state in one.budgets]
    files = [storage_row(one.project, one.tenant.quota, one.storage) for one in found if one.storage]
    table(HEADS, sorted(hours + files, key=itemgetter(0)), 1)
    for one in found:
        if one.storage and one.storage.why:
            click.echo(f"hpcjobs: files of {one.project}: {one.storage.why}", err=True)
    if bare := [one.project for one in found if not one.budgets and not one.storage]:
        click.echo(f"hpcjobs: without a budget: {', '.join(bare)}", err=True)
    if found and not found[0].read_until and hours:
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
        click.echo(f"hpcjobs: {one.project or 'slurm.conf'}: {one.field}: {one.why}", err=True)
    click.echo(f"{len(rows)} changes {done} on {found.cluster}.", err=True)
