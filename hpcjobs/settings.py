"""Settings of the service: one TOML file, a few words of the environment over it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hpcjobs.errors import SettingsError

DEFAULT_PATH = Path("/etc/hpcjobs/hpcjobs.toml")
OWN_ISSUER = "hpcjobs"
"""``iss`` of our own tokens."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ATOM, _LABEL = "[A-Za-z0-9_%+=~-]+", "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
MAIL_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
"""What an address of mail looks like here: nothing in it can end a header or name a second one."""


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it is found what files of a cluster's projects use; one of folder and command.

    Attributes:
        folder: Pattern of a project's folder, as ``/scratch/{project}``: ``du`` counts it, as the service's user and
            beside the service, which must be able to read all of it.
        command: A site's own command, word by word and without a shell, that prints ``project bytes`` a line for all
            projects: of ``lfs quota``, ``mmlsquota``, ``beegfs-ctl`` or what else the file system has.
        every_h: It is measured at most once in so many hours.
        timeout_s: Seconds that one ``du`` or command may take.
    """

    folder: str = ""
    command: tuple[str, ...] = ()
    every_h: Annotated[float, msgspec.Meta(gt=0)] = 6.0
    timeout_s: Annotated[int, msgspec.Meta(ge=1)] = 3600

    def fault(self) -> str:
        """What cannot be right about it, or ``""``."""
        if bool(self.folder) == bool(self.command):
            return "needs one of folder and command"
        try:
            here, there = (self.folder.format(project=project) for project in ("a", "b"))
        except (KeyError, IndexError, ValueError) as error:
            return f"folder: only {{project}} is known: {error!r}"
        if self.folder and (here == there or not here.startswith("/")):
            return f"folder {self.folder!r} is not an absolute path with {{project}} in it"
        return ""


class ImageStoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a cluster keeps images that registries have, and the job that brings one there, once for each digest.

    Attributes:
        private: Each user's folder, on a file system that all nodes have.
        shared: Folders that are looked into before it, as ``/scratch/images`` or ``/scratch/{project}/images``; who may
            write there puts images there in the same way.
        max_bytes: As much as a private folder may hold; what was not used for longest goes first. 0: any.
        keep_s: What was used in so many seconds stays in any case: jobs that wait or run may need it.
        partition: Of the job; None: the default.
        cpus: Of the job.
        mem_bytes: Of the job.
        wall_s: Its time limit, in seconds.
    """

    private: str = "/home/{user}/.hpcjobs/images"
    shared: tuple[str, ...] = ()
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    keep_s: Annotated[int, msgspec.Meta(ge=3600)] = 14 * 86_400
    partition: str | None = None
    cpus: Annotated[int, msgspec.Meta(ge=1)] = 2
    mem_bytes: Annotated[int, msgspec.Meta(ge=2**20)] = 4 * 2**30
    wall_s: Annotated[int, msgspec.Meta(ge=60)] = 3600


class ContainerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Containers on one cluster (docs/CONTAINERS.md). The plugin of each runtime must be in use as well.

    Attributes:
        runtimes: What nodes of every partition have, the preferred first.
        partitions: What those of some partitions have instead, by partition.
        mounts: What every container has of the host, ``SOURCE[:TARGET[:ro|rw,optional]]``.
        allowed: Folders that jobs may mount from, with what is below them; ``{user}`` and ``{project}`` stand for
            those of the job. The rights are the user's own in any case.
        registries: Hosts that images may come from, as ``registry:5000`` or ``*.example.org``; none: all.
        insecure: Those of them that speak http.
        ask: Whether a registry is asked at submission what an image is, so that all runs of a job have the same one.
        families: Families of accelerators that those of no type are of, where the nodes' tell none.
        store: Where images of registries are kept; None: each node fetches them for each user.
    """

    runtimes: tuple[Literal["apptainer", "enroot", "pyxis", "oci"], ...] = ()
    partitions: dict[str, tuple[Literal["apptainer", "enroot", "pyxis", "oci"], ...]] = {}
    mounts: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ("/",)
    registries: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    ask: bool = True
    families: tuple[str, ...] = ()
    store: ImageStoreSettings | None = None

    def fault(self) -> str:
        """What cannot be right about it, or ``""``."""
        folders = (self.store.private, *self.store.shared) if self.store else ()
        for pattern in (*self.allowed, *folders):
            try:
                path = pattern.format(user="a", project="b")
            except (KeyError, IndexError, ValueError) as error:
                return f"{pattern!r}: only {{user}} and {{project}} are known: {error!r}"
            if not path.startswith("/"):
                return f"{pattern!r} is no absolute path"
        if self.store and ("{user}" not in self.store.private or "{project}" in self.store.private):
            return f"store: private {self.store.private!r} is not of one {{user}}"
        if not self.runtimes and not any(self.partitions.values()):
            return "runtimes: no partition has one; leave containers out"
        return ""


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cluster.

    Attributes:
        name: Slurm's ClusterName.
        ways: How to reach it, the best first; what one cannot do goes to the next. Empty: pyslurm where it can be
            had, then slurmrestd and ssh where their addresses are set.
        slurm_conf: For pyslurm.
        slurmrestd_url: For slurmrestd.
        jwt_key_file: For slurmrestd: the key that slurmctld checks tokens with.
        ssh_host: For ssh: the login node, as it stands in ssh_known_hosts.
        ssh_port: For ssh.
        ssh_known_hosts: For ssh: file with the login node's host key; another key, or none, is refused.
        ssh_ca_key: For ssh: private key of the CA that the login node names in TrustedUserCAKeys; the service signs a
            certificate of two minutes for each connection.
        ssh_key: For ssh, in place of ssh_ca_key: pattern of users' own keys, as ``/home/{user}/.ssh/id_ed25519``.
        home: A user's home on the cluster: the working directory of a job that names none.
        observe_s: Seconds between two listings.
        min_job_age_s: MinJobAge of its slurm.conf, which must not be shorter: how long the controller lists a job
            after its end, in seconds. What is older is asked of accounting.
        resend_lost: Whether a job that Slurm took and lost before it began (a slurmctld that is killed forgets its
            last seconds) goes to Slurm again. False: it stays UNKNOWN.
        tenants: Whether Slurm's accounting is brought to what tenants say once a minute (``apply``), or only when an
            admin says so (``plan``). The service's user must be an operator in Slurm for that.
        storage: How it is found what files of projects use; None: it is not.
        containers: What it can run jobs' containers with; None: nothing.
        file_roots: The folders whose files and outputs can be reached, the first of them the user's own; none: no
            files and no output. What
            is outside cannot be reached, whatever links lead there. Others must not be able to make these folders.
    """

    name: str
    ways: tuple[Literal["pyslurm", "slurmrestd", "ssh"], ...] = ()
    slurm_conf: str = "/etc/slurm/slurm.conf"
    slurmrestd_url: str | None = None
    jwt_key_file: Path | None = None
    ssh_host: str | None = None
    ssh_port: int = 22
    ssh_known_hosts: Path | None = None
    ssh_ca_key: Path | None = None
    ssh_key: str | None = None
    home: str = "/home/{user}"
    observe_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    min_job_age_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    resend_lost: bool = True
    tenants: Literal["plan", "apply"] = "plan"
    storage: StorageSettings | None = None
    containers: ContainerSettings | None = None
    file_roots: tuple[str, ...] = ("/home/{user}", "/scratch")


class IssuerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody else whose tokens are believed: an OIDC issuer. It can speak for every user that user_pattern lets in.

    Attributes:
        issuer: The token's ``iss``, to the letter.
        audience: The token's ``aud`` must name this.
        jwks_url: Where the issuer publishes its keys; https, or http on loopback.
        jwks_file: The keys in a file instead.
        algorithms: Signatures that are accepted.
        user_claim: The claim that holds the user's name.
        user_pattern: What the whole claim must look like, a regular expression; a group ``(?P<user>...)`` in it is the
            name, as in ``(?P<user>[a-z]+)@example[.]org``.
        scope_claim: The claim that says what the token is for; a token without it is for nothing. ``""``: the issuer
            knows nothing of our scopes, and its tokens have all of their user's role.
        groups_claim: The claim that lists groups.
        operator_groups: Who is in one of these is an operator.
        admin_groups: Who is in one of these is an admin.
        leeway_s: How far the issuer's clock may be off, in seconds.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    jwks_file: Path | None = None
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...] = ("RS256", "ES256", "EdDSA")
    user_claim: str = "preferred_username"
    user_pattern: str = "[a-z_][a-z0-9_-]{0,31}"
    scope_claim: str = "scope"
    groups_claim: str = "groups"
    operator_groups: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    leeway_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 60.0

    def fault(self) -> str:
        """What cannot be right about it, or ``""``."""
        if (self.jwks_url is None) == (self.jwks_file is None):
            return "needs one of jwks_url and jwks_file"
        url = urlsplit(self.jwks_url or "")
        if self.jwks_url and url.scheme != "https" and (url.scheme, url.hostname in LOOPBACK) != ("http", True):
            return f"jwks_url {self.jwks_url}: keys are believed over https only (http on loopback)"
        if not self.algorithms or not self.issuer or not self.audience:
            return "issuer, audience and algorithms must not be empty"
        try:
            re.compile(self.user_pattern)
        except re.error as error:
            return f"user_pattern is no regular expression: {error}"
        return ""


class Allowance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a user may ask.

    Attributes:
        per_s: Requests a second that can go on for ever.
        burst: Requests that may come at once after a pause.
    """

    per_s: Annotated[float, msgspec.Meta(gt=0)]
    burst: Annotated[int, msgspec.Meta(ge=1)]


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often each user may ask, for each process of the service.

    Attributes:
        enabled: False lets everybody ask as often as they like.
        requests: Everything but submissions.
        submissions: Submissions.
        exempt_operators: Whether operators and admins may ask as often as they like.
    """

    enabled: bool = True
    requests: Allowance = Allowance(100.0, 1000)
    submissions: Allowance = Allowance(50.0, 500)
    exempt_operators: bool = True


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may read ``/metrics``.

    Attributes:
        open: True lets everybody who reaches the address read them without a token; else operators and admins.
    """

    open: bool = False


class CarbonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a kWh emits from a day on, until that of the next.

    Attributes:
        g_per_kwh: Grams of CO2 (or of its equivalent, as the source says); with what cooling takes, where that counts.
        since: The day, of the time zone of usage.
        source: Who says so; reports name it.
    """

    g_per_kwh: Annotated[float, msgspec.Meta(ge=0, le=10_000)]
    since: dt.date
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class UsageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was used: Slurm's accounting in a file of our own (docs/adr/0021).

    Attributes:
        path: The file; no other process may have it open. ``""``: ``accounting.duckdb`` beside the database where that
            is SQLite, else in /var/lib/hpcjobs.
        memory: How much memory questions may take together, as ``512MB``; what is more goes to disk beside the file.
        timezone: Whose calendar days and months are of, where nobody says another (IANA name).
        period_s: Seconds between two readings of accounting.
        overlap_s: How much of what was read last is read again, in seconds: slurmdbd may hear of things late.
        again_days: How many days are read once more each day.
        samples_days: For how many days the five-minute samples of each device are kept; after that their sums by
            hour, node and run.
        carbon: What a kWh emits; none: reports have no CO2.
    """

    path: str = ""
    memory: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]*[MG]B$")] = "512MB"
    timezone: str = "UTC"
    period_s: Annotated[float, msgspec.Meta(ge=1)] = 20.0
    overlap_s: Annotated[float, msgspec.Meta(ge=0)] = 900.0
    again_days: Annotated[float, msgspec.Meta(ge=0)] = 8.0
    samples_days: Annotated[float, msgspec.Meta(ge=1)] = 3.0
    carbon: tuple[CarbonSettings, ...] = ()


class BillingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is charged (docs/BILLING.md).

    Attributes:
        currency: Of prices that are entered, and of what is charged by them (ISO 4217).
        basis: Whether what jobs kept from others is charged, with time suspended (``held``), or what they used.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"
    basis: Literal["held", "used"] = "held"


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server that mail goes out through.

    Attributes:
        host: Its name, as in its certificate.
        port: Where it listens.
        security: TLS after STARTTLS (port 587), from the first byte on (``tls``, port 465), or none.
        sender: The address that mail is from; its domain is that of the Message-IDs.
        user: Name to log in with; ``""``: without.
        password_file: Its password, alone in a file that is read for each mail.
        ca_file: Certificates that the server is believed by, in place of the system's.
        timeout_s: How long any step may take, in seconds.
        domains: Domains that mail may go to, with those below them; none: any.
        max_bytes: Largest mail; from a larger one the file is left out, and the mail says so.
    """

    host: str
    sender: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 20.0
    domains: tuple[str, ...] = ()
    max_bytes: Annotated[int, msgspec.Meta(ge=100_000)] = 10_000_000

    def fault(self) -> str:
        """What cannot be right about it, or ``""``."""
        if not re.fullmatch(MAIL_ADDRESS, self.sender):
            return f"sender {self.sender!r} is no address"
        if bool(self.user) != (self.password_file is not None):
            return "user and password_file go together"
        if self.user and self.security == "none" and self.host not in LOOPBACK:
            return "a password goes over TLS only"
        return ""


class PluginSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One plugin that is in use.

    Attributes:
        name: Of its entry point.
        required: Whether submissions are refused while it cannot judge them: it could not be loaded, failed, was too
            late, or failed so often that it is asked no more. False: they pass it by.
        timeout_s: How long a hook may take, in seconds.
        dry_run: For a policy: whether what it wants is only told and not done.
        settings: What is for the plugin itself to understand; it travels as JSON, so that a date is a text to it.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    required: bool = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0
    dry_run: bool = False
    settings: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Settings as they are kept, so that what is read back is equal."""
        msgspec.structs.force_setattr(self, "settings", msgspec.json.decode(msgspec.json.encode(self.settings)))


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The service.

    Attributes:
        clusters: At least one; the first is the default.
        database_url: SQLite or PostgreSQL; HPCJOBS_DATABASE_URL in the environment wins.
        token_key_file: Key of our own tokens; made at the first start.
        listen_host: Address to listen on.
        listen_port: Port to listen on.
        proxies: Addresses or networks of proxies in front of the service: what their X-Forwarded-For says is whom the
            audit log names as client. Any process there can choose it: name loopback only where all of them may.
        spawner_socket: Where the spawner listens.
        service_user: The user the service runs as; it observes the clusters.
        admins: Users who may do what operators may, and read the audit log.
        operators: Users who see every job and act on it through the service's user.
        issuers: OIDC issuers whose tokens are believed beside our own.
        token_leeway_s: How far the clock of the machine that made one of our own tokens may be off, in seconds.
        rate_limits: How often a user may ask.
        metrics: Who may read the numbers for Prometheus.
        never_run_as: Names that no job may run as, whatever a token says; service_user is one of them always.
        min_uid: No job runs as a local account with a lower number.
        max_age_s: How old a listing may be that answers a question, unless the caller says otherwise.
        events_days: How long events are kept, in days; those that a webhook waits for, up to twice as long.
        streams_per_user: How many streams of events and followed outputs together a user may have open, for each
            process of the service.
        webhooks_per_user: How many webhooks a user may have.
        webhook_networks: Networks that webhooks may reach beside the hosts of the world, as ``10.0.0.0/8``.
        webhook_http_hosts: Hosts that webhooks may reach without TLS.
        webhook_ca_file: Certificates that webhooks' hosts are believed by, in place of the system's.
        usage: Where what was used is kept.
        billing: What is charged.
        lemons: How nodes are judged: what of ``hpcjobs/recovery/lemons.toml`` is otherwise here.
        mail: Where mail goes out; without it none does.
        subscriptions_per_user: How many reports and how many alerts a user may have sent.
        credentials_per_user: How many credentials for registries a user may have.
        plugins: Those in use, in the order in which they are asked. A change through the API holds until this list
            changes.
    """

    clusters: tuple[ClusterSettings, ...]
    database_url: str = "sqlite:////var/lib/hpcjobs/hpcjobs.db"
    token_key_file: Path = Path("/var/lib/hpcjobs/token.key")
    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    proxies: tuple[str, ...] = ()
    spawner_socket: str = "/run/hpcjobs/spawner.sock"
    service_user: str = "hpcjobs"
    admins: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    issuers: tuple[IssuerSettings, ...] = ()
    token_leeway_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 60.0
    rate_limits: RateLimits = RateLimits()
    metrics: MetricsSettings = MetricsSettings()
    never_run_as: tuple[str, ...] = ("root", "slurm")
    min_uid: int = 1000
    max_age_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    events_days: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    streams_per_user: Annotated[int, msgspec.Meta(ge=0)] = 20
    webhooks_per_user: Annotated[int, msgspec.Meta(ge=0)] = 20
    webhook_networks: tuple[str, ...] = ()
    webhook_http_hosts: tuple[str, ...] = ()
    webhook_ca_file: Path | None = None
    usage: UsageSettings = UsageSettings()
    billing: BillingSettings = BillingSettings()
    lemons: dict[str, Any] = {}
    mail: MailSettings | None = None
    subscriptions_per_user: Annotated[int, msgspec.Meta(ge=0)] = 20
    credentials_per_user: Annotated[int, msgspec.Meta(ge=0)] = 20
    plugins: tuple[PluginSettings, ...] = ()

    @property
    def usage_path(self) -> Path:
        """The file of usage."""
        if self.usage.path:
            return Path(self.usage.path)
        _, beside, database = self.database_url.partition("sqlite:///")
        return (Path(database).parent if beside else Path("/var/lib/hpcjobs")) / "accounting.duckdb"

    @property
    def forbidden(self) -> frozenset[str]:
        """Names that no job may run as and no token may speak for: the service's own, an operator in Slurm, too."""
        return frozenset({*self.never_run_as, self.service_user})


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
        if cluster.storage and (fault := cluster.storage.fault()):
            raise SettingsError(f"{path}: storage of cluster {cluster.name}: {fault}")
        if cluster.containers and (fault := cluster.containers.fault()):
            raise SettingsError(f"{path}: containers of cluster {cluster.name}: {fault}")
        for field, template in [
            ("home", cluster.home),
            ("ssh_key", cluster.ssh_key or "/"),
            *(("file_roots", root) for root in cluster.file_roots),
        ]:
            where = f"{path}: {field} of cluster {cluster.name}"
            try:
                absolute = template.format(user="alice").startswith("/")
            except (KeyError, IndexError, ValueError) as error:
                raise SettingsError(f"{where}: only {{user}} is known: {error!r}") from error
            if field == "file_roots" and not absolute:
                raise SettingsError(f"{where}: {template!r} is not an absolute path")
    issuers = [issuer.issuer for issuer in settings.issuers]
    if len({OWN_ISSUER, *issuers}) != len(issuers) + 1:
        raise SettingsError(f"{path}: issuers need names of their own, and none is {OWN_ISSUER}, which is ours")
    for issuer in settings.issuers:
        if fault := issuer.fault():
            raise SettingsError(f"{path}: issuer {issuer.issuer}: {fault}")
    plugins = [plugin.name for plugin in settings.plugins]
    if len(set(plugins)) != len(plugins):
        raise SettingsError(f"{path}: plugins: each at most once")
    try:
        ZoneInfo(settings.usage.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"{path}: usage: there is no time zone {settings.usage.timezone!r}") from error
    if settings.mail and (fault := settings.mail.fault()):
        raise SettingsError(f"{path}: mail: {fault}")
    for network in settings.webhook_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(f"{path}: webhook_networks: {error}") from error
    if url := environment.get("HPCJOBS_DATABASE_URL"):
        settings = msgspec.structs.replace(settings, database_url=url)
    return settings
