"""What stands after options and in place of arguments: jobs, partitions, clusters, accounts, profiles, states."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import click

from hpcjobs.profiles import ClientConfig, config_path, load, read_table

MOST: Final = 100
"""Most jobs that are suggested."""

Items = list[Any]
"""Of click's CompletionItem, or of text."""


def _environment(context: click.Context) -> Mapping[str, str]:
    profile = context.find_root().params.get("profile")
    return {**os.environ, "HPCJOBS_PROFILE": profile} if profile else os.environ


def _config(context: click.Context) -> ClientConfig | None:
    try:
        return load(_environment(context))
    except ValueError:
        return None


def _asked(context: click.Context, path: str, **query: object) -> Any:  # noqa: ANN401
    from hpcjobs.cli.completion.ask import ask

    config = _config(context)
    return None if config is None else ask(config, path, **query)


def _items(words: Mapping[str, str] | Iterable[str], incomplete: str) -> Items:
    """Those that begin so, with a word of help where there is one; of a list with commas the last is completed."""
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    told = words if isinstance(words, Mapping) else dict.fromkeys(words, "")
    taken = set(before.split(","))
    return [
        CompletionItem(before + comma + word, help=told[word] or None)
        for word in told
        if word and word.startswith(last) and word not in taken
    ]


def _jobs(context: click.Context, incomplete: str, **query: object) -> Items:
    from click.shell_completion import CompletionItem

    from hpcjobs.cli.claims import claims

    config = _config(context)
    me = claims(config.token).get("sub") if config else None
    cluster = context.params.get("cluster") or (config.cluster if config else "")
    only = {name: value for name, value in {"user": me, "cluster": cluster}.items() if value}
    page = _asked(context, "/v1/jobs", limit=MOST, **only, **query)
    taken = set(context.params.get("job_ids") or ())
    found = []
    for job in page["items"] if page else ():
        name = str(job["slurm_job_id"] or job["id"])
        if name.startswith(incomplete) and name not in taken:
            taken.add(name)
            help_text = f"{job['name']} {job['fate'] or job['state']} {job['partition']}".strip()
            found.append(CompletionItem(name, help=help_text))
    return found


def live_jobs(context: click.Context, _argument: click.Parameter, incomplete: str) -> Items:
    """One's own jobs that have not ended."""
    from hpcjobs.model.job import LIVE

    return _jobs(context, incomplete, state=LIVE)


def ended_jobs(context: click.Context, _argument: click.Parameter, incomplete: str) -> Items:
    """One's own jobs that did not end well."""
    from hpcjobs.model.job import UNHAPPY

    return _jobs(context, incomplete, fate=UNHAPPY)


def recent_jobs(context: click.Context, _argument: click.Parameter, incomplete: str) -> Items:
    """One's own jobs, newest first, ended or not."""
    return _jobs(context, incomplete)


def cluster_names(context: click.Context) -> list[str]:
    """The clusters; the first is the default one."""
    found = _asked(context, "/v1/clusters")
    return [str(one["name"]) for one in found or ()]


def clusters(context: click.Context, _option: click.Parameter, incomplete: str) -> Items:
    """The clusters."""
    return _items(cluster_names(context), incomplete)


def partition_names(context: click.Context) -> list[str]:
    """The partitions of the cluster that the command is about."""
    config = _config(context)
    cluster = context.params.get("cluster") or (config.cluster if config else "")
    cluster = cluster or next(iter(cluster_names(context)), "")
    if not cluster:
        return []
    found = _asked(context, f"/v1/clusters/{quote(cluster, safe='')}/partitions", fields="name")
    return sorted(one["name"] for one in (found["items"] if found else ()))


def partitions(context: click.Context, _option: click.Parameter, incomplete: str) -> Items:
    """The partitions."""
    return _items(partition_names(context), incomplete)


def accounts(context: click.Context, _option: click.Parameter, incomplete: str) -> Items:
    """The accounts that one belongs to or manages."""
    found = _asked(context, "/v1/projects")
    return _items({str(one["name"]): str(one["description"]) for one in (found["items"] if found else ())}, incomplete)


def qos(context: click.Context, _option: click.Parameter, incomplete: str) -> Items:
    """The qualities of service that jobs have had lately: the service knows no others."""
    found = _asked(context, "/v1/jobs", limit=1000, fields="qos")
    return _items(sorted({str(one["qos"]) for one in (found["items"] if found else ())}), incomplete)


def states(_context: click.Context, _option: click.Parameter, incomplete: str) -> Items:
    """States and ends, in the capitals in which they were begun."""
    from hpcjobs.model.job import Fate, State

    words = [str(word) for word in (*State, *Fate)]
    return _items([word.lower() for word in words] if incomplete.islower() else words, incomplete)


def profile_names(incomplete: str) -> list[str]:
    """The profiles of the configuration file."""
    try:
        found = read_table(config_path()).get("profiles", {})
    except ValueError:
        return []
    return [name for name in sorted(found) if name.startswith(incomplete)]


def profiles(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """The same, for an option."""
    return profile_names(incomplete)


def plugins(context: click.Context, _argument: click.Parameter, incomplete: str) -> Items:
    """The plugins that are installed with the service."""
    found = _asked(context, "/v1/plugins")
    return _items({str(one["name"]): str(one["version"]) for one in (found["installed"] if found else ())}, incomplete)
