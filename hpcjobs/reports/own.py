"""Reports of plugins' own: the question that each is made of (docs/PLUGINS.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refused
from hpcjobs.model.report import Ready, ReportQuery
from hpcjobs.reports.asked import check

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def fault_of(reports: Sequence[Ready]) -> str:
    """Why a plugin cannot have these reports, as ``has no reports``; ``""``: it can.

    Args:
        reports: As its module has them, whatever that is.
    """
    if not isinstance(reports, Sequence) or not reports:
        return "has no reports"
    names = [one.name for one in reports if isinstance(one, Ready)]
    if len(names) < len(reports):
        return f"has reports that are no {Ready.__name__}"
    if len(set(names)) < len(names):
        return "has two reports of one name"
    return next(filter(None, map(_fault, reports)), "")


def _fault(report: Ready) -> str:
    try:
        told = msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=Ready)
        if not _NAME.fullmatch(told.name):
            return f"has a report {told.name!r:.80}: names are small letters, digits and _"
        if not told.title or not told.text:
            return f"has a report {told.name} without a title, or without a text that says what it tells"
        check(question(told, ReportQuery()), "UTC", 0)
    except (TypeError, ValueError) as error:
        return f"has a report that cannot be: {error}"
    except Refused as error:
        return f"has a report {told.name} whose question cannot be asked: {error.detail.rstrip('.')}"
    return ""


def question(report: Ready, query: ReportQuery) -> ReportQuery:
    """What is asked of usage for a report: its own question, of the period and the jobs of the caller's.

    Args:
        report: Which.
        query: What the caller asked for.
    """
    return msgspec.structs.replace(query, by=report.by, measures=report.measures, order=report.order)
