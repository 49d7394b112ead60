"""``hpcjobs price``: what an hour of something costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.model.price import Price

HEADS: Final = ("PRICE", "RESOURCE", "AN HOUR", "SINCE", "UNTIL", "ONLY FOR", "ENTERED BY", "ENDED BY")
ONLY: Final = ("cluster", "project", "partition", "qos")
"""What a price can be only for."""


@click.group()
def price() -> None:
    """Show what an hour of something costs; admins enter prices and end them."""


@price.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """Show all prices that ever were."""
    with service() as client:
        found = client.prices()
        if as_json:
            print_json(found)
            return
        _show(found.prices)
        click.echo(f"hpcjobs: what jobs {found.basis} is charged, in {found.currency}.", err=True)


@price.command()
@click.argument("resource")
@click.argument("amount")
@click.option("--since", required=True, help="The date on which it begins, as 2026-10-01, or an instant.")
@click.option("--until", default="", help="The date before which it ends.  [default: it is ended when it is]")
@click.option("--only-cluster", "cluster", default="", help="Only on this cluster.")
@click.option("--project", default="", help="Only for this project.")
@click.option("--partition", default="", help="Only in this partition.")
@click.option("--qos", default="", help="Only with this quality of service.")
@json_option
def add(
    resource: str, amount: str, since: str, until: str, cluster: str, project: str, partition: str, qos: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Enter a price: AMOUNT for one RESOURCE an hour. For admins.

    RESOURCE is gpu:KIND (gpu:a100), gpu (of any other kind), cpu, mem_gib or node.
    """
    from hpcjobs.model.price import PriceAsked

    with service() as client:
        made = client.add_price(PriceAsked(resource, amount, since, until, cluster, project, partition, qos))
        print_json(made) if as_json else _show([made])


@price.command()
@click.argument("number", metavar="PRICE", type=int)
@click.argument("until")
@json_option
def end(number: int, until: str, as_json: bool) -> None:
    """End a price: UNTIL is the date before which it holds; where it begins, it never held. For admins."""
    with service() as client:
        made = client.end_price(number, until)
        print_json(made) if as_json else _show([made])


def row(one: Price) -> tuple[str, ...]:
    """A price's line in the table."""
    from hpcjobs.cli.show import moment

    only = [f"{name} {getattr(one, name)}" for name in ONLY if getattr(one, name)]
    until = "-" if one.until is None else "never held" if one.until <= one.since else moment(one.until)
    amount = f"{one.amount} {one.currency}"
    return (str(one.id), one.resource, amount, moment(one.since), until, ", ".join(only) or "-", one.entered_by,
            one.ended_by or "-")  # fmt: skip


def _show(prices: list[Price] | tuple[Price, ...]) -> None:
    from hpcjobs.cli.show import table

    table(HEADS, [row(one) for one in prices], None)
