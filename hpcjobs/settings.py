"""Settings of the service: one TOML file, a few words of the environment over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hpcjobs.errors import SettingsError

DEFAULT_PATH = Path("/etc/hpcjobs/hpcjobs.toml")


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cluster.

    Attributes:
        name: Slurm's ClusterName.
        ways: How to reach it, the best first; what one cannot do goes to the next. Empty: pyslurm where it can be
            had, slurmrestd where its address is set.
        slurm_conf: For pyslurm.
        slurmrestd_url: For slurmrestd.
        jwt_key_file: For slurmrestd: the key that slurmctld checks tokens with.
        home: A user's home on the cluster: the working directory of a job that names none.
        observe_s: Seconds between two listings.
        file_roots: The folders whose files can be reached, the first of them the user's own; none: no files. What
            is outside cannot be reached, whatever links lead there. Others must not be able to make these folders.
    """

    name: str
    ways: tuple[Literal["pyslurm", "slurmrestd"], ...] = ()
    slurm_conf: str = "/etc/slurm/slurm.conf"
    slurmrestd_url: str | None = None
    jwt_key_file: Path | None = None
    home: str = "/home/{user}"
    observe_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    file_roots: tuple[str, ...] = ("/home/{user}", "/scratch")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The service.

    Attributes:
        clusters: At least one; the first is the default.
        database_url: SQLite or PostgreSQL; HPCJOBS_DATABASE_URL in the environment wins.
        token_key_file: Key of our own tokens; made at the first start.
        listen_host: Address to listen on.
        listen_port: Port to listen on.
        spawner_socket: Where the spawner listens.
        service_user: The user the service runs as; it observes the clusters.
        admins: Users who may see and cancel every job.
        never_run_as: Names that no job may run as, whatever a token says.
        min_uid: No job runs as a local account with a lower number.
        max_age_s: How old a listing may be that answers a question, unless the caller says otherwise.
    """

    clusters: tuple[ClusterSettings, ...]
    database_url: str = "sqlite:////var/lib/hpcjobs/hpcjobs.db"
    token_key_file: Path = Path("/var/lib/hpcjobs/token.key")
    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    spawner_socket: str = "/run/hpcjobs/spawner.sock"
    service_user: str = "hpcjobs"
    admins: tuple[str, ...] = ()
    never_run_as: tuple[str, ...] = ("root", "slurm")
    min_uid: int = 1000
    max_age_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"Expected a {kind.__name__.lower()}, got {value!r}")


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Args:
        path: The file; None: HPCJOBS_CONFIG of the environment, else /etc/hpcjobs/hpcjobs.toml.
        environment: HPCJOBS_DATABASE_URL and HPCJOBS_CONFIG are read.

    Raises:
        SettingsError: The file is missing or wrong; the message names file and field.
    """
    path = path or Path(environment.get("HPCJOBS_CONFIG", DEFAULT_PATH))
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings, dec_hook=_decode)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # msgspec's errors, and bytes that are no text
        raise SettingsError(f"{path}: {error}") from error
    names = [cluster.name for cluster in settings.clusters]
    if not names or len(set(names)) != len(names):
        raise SettingsError(f"{path}: clusters need at least one entry, each with its own name")
    for cluster in settings.clusters:
        if len(set(cluster.ways)) != len(cluster.ways):
            raise SettingsError(f"{path}: ways of cluster {cluster.name}: each at most once")
        for field, template in [("home", cluster.home), *(("file_roots", root) for root in cluster.file_roots)]:
            where = f"{path}: {field} of cluster {cluster.name}"
            try:
                absolute = template.format(user="alice").startswith("/")
            except (KeyError, IndexError, ValueError) as error:
                raise SettingsError(f"{where}: only {{user}} is known: {error!r}") from error
            if field == "file_roots" and not absolute:
                raise SettingsError(f"{where}: {template!r} is not an absolute path")
    if url := environment.get("HPCJOBS_DATABASE_URL"):
        settings = msgspec.structs.replace(settings, database_url=url)
    return settings
