"""Where the service is and who we are: environment first, then the configuration file.

url = "https://jobs.example.org"
token = "..."                        # hpcjobs login writes it

[profiles.other]                     # HPCJOBS_PROFILE=other, or profile = "other" above, chooses it
url = "https://other.example.org"
cluster = "alpha"
workdir = "/home/alice"              # where jobs run that are sent from a machine without the cluster's files
queue_offline = true                 # submissions that find no service are kept, and sent later: docs/CLI.md

[spank.image]                        # sbatch --image=..., an option of the site's SPANK plugin "shifter"
plugin = "shifter"
takes = "required"                   # an argument: none, optional or required
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # every call of sbatch loads this module, and typing loads slowly
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final


class SpankOption:
    """An option of sbatch that a site's SPANK plugin brings.

    Attributes:
        plugin: Name of the plugin.
        takes: Whether it has an argument: ``none``, ``optional`` or ``required``.
    """

    __slots__ = ("plugin", "takes")

    def __init__(self, plugin: str, takes: str = "required") -> None:
        self.plugin = plugin
        self.takes = takes


class ClientConfig:
    """What a command needs to reach the service.

    Attributes:
        url: Address of the service.
        token: Bearer token.
        cluster: Where jobs go that name no cluster; ``""``: the service's default.
        workdir: Where jobs run that name no directory; ``""``: where the command is called.
        export: What --export of sbatch says where nothing else does; ``""``: ALL.
        propagate: What --propagate of sbatch says where nothing else does; ``""``: all limits of the calling shell.
        spank: Options of the site's SPANK plugins, by name.
        queue_offline: Whether submissions that find no service are kept on disk and sent later.
        profile: Name of the profile that this is; ``""``: what stands at the top of the file.
        warning: What is wrong with the file though it can be read, or ``""``.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        token: str = "",
        cluster: str = "",
        workdir: str = "",
        export: str = "",
        propagate: str = "",
        spank: Mapping[str, SpankOption] | None = None,
        queue_offline: bool = False,
        profile: str = "",
        warning: str = "",
    ) -> None:
        self.url = url
        self.token = token
        self.cluster = cluster
        self.workdir = workdir
        self.export = export
        self.propagate = propagate
        self.spank = spank or {}
        self.queue_offline = queue_offline
        self.profile = profile
        self.warning = warning


_TAKES: Final = ("none", "optional", "required")
_TEXTS: Final = ("url", "token", "cluster", "workdir", "export", "propagate")
_SETTINGS: Final = (*_TEXTS, "queue_offline", "spank")


def config_path(environment: Mapping[str, str] = os.environ) -> str:
    """``$XDG_CONFIG_HOME/hpcjobs/config.toml``, ``~/.config`` where that is unset."""
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return f"{base}/hpcjobs/config.toml"


def state_path(environment: Mapping[str, str] = os.environ) -> str:
    """``$XDG_STATE_HOME/hpcjobs``, ``~/.local/state`` where that is unset."""
    base = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return f"{base}/hpcjobs"


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are of one service: host in whatever capitals, with or without its usual port."""
    return one == other or _address(one) == _address(other)


def _address(url: str) -> tuple[str, str, int | None, str]:
    from urllib.parse import urlsplit  # loads slowly, and most addresses are compared with themselves

    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ("", url, None, "")  # the client says what is wrong with it
    return (parts.scheme, parts.hostname or "", port, parts.path.rstrip("/"))


def read_table(path: str) -> dict[str, Any]:
    """The configuration file as it stands; empty where there is none.

    Raises:
        ValueError: It cannot be read as TOML.
    """
    try:
        with open(path, "rb") as file:
            import tomllib  # loads slowly, and only where there is something to read

            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def exposed(path: str) -> str:
    """What is to be said of a secret's file that others can read, in words; ``""``: they cannot, or it is none."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    if not stat.S_ISREG(mode) or not mode & 0o077:
        return ""
    return f"permissions {mode & 0o777:04o} for {path} are too open: others can use the token in it; chmod 600 {path}"


def _spank(tables: object) -> dict[str, SpankOption]:
    if not isinstance(tables, dict):
        raise TypeError("spank is not a table")
    options = {}
    for name, table in tables.items():
        option = SpankOption(**table)
        if option.takes not in _TAKES or not isinstance(option.plugin, str):
            raise ValueError(f"spank.{name}: takes is one of {', '.join(_TAKES)}, and plugin a name")
        options[name] = option
    return options


def _config(said: Mapping[str, Any]) -> ClientConfig:
    if unknown := set(said) - set(_SETTINGS):
        raise ValueError(f"no setting is called {', '.join(sorted(unknown))}; there are {', '.join(_SETTINGS)}")
    texts = {name: said[name] for name in _TEXTS if name in said}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        raise ValueError(f"{', '.join(wrong)} must be text")
    offline = said.get("queue_offline", False)
    if not isinstance(offline, bool):
        raise TypeError("queue_offline is true or false")
    return ClientConfig(**texts, spank=_spank(said.get("spank", {})), queue_offline=offline)


def _same(one: object, other: object) -> bool:
    return one == other or (isinstance(one, str) and isinstance(other, str) and same_address(one, other))


def _with_profile(table: dict[str, Any], profile: str, profiles: object) -> dict[str, Any]:
    """The settings at the top with those of a profile before them. A token is only for the address it stands with."""
    if not profile:
        return table
    own = profiles.get(profile) if isinstance(profiles, dict) else None
    if not isinstance(own, dict):
        there = ", ".join(sorted(profiles)) if isinstance(profiles, dict) else ""
        raise ValueError(f"there is no profile {profile!r}; there are {there or 'none'}")  # noqa: TRY004
    elsewhere = not _same(own.get("url", table.get("url")), table.get("url"))
    return {name: value for name, value in table.items() if name != "token" or not elsewhere} | own


def addresses(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Every address that commands may be sent to: that of the configuration that counts, and those of all profiles.

    Raises:
        ValueError: See load().
    """
    table = read_table(config_path(environment))
    profiles = table.get("profiles", {}).values()
    said = [one.get("url") for one in (table, *profiles)]
    return [load(environment).url, *(url for url in said if isinstance(url, str))]


def load(environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read the configuration.

    HPCJOBS_PROFILE, or ``profile`` in the file, chooses one of its profiles, whose settings go before those at the
    top. HPCJOBS_URL and HPCJOBS_TOKEN win over all of it; the file's token is not sent to another service that
    HPCJOBS_URL names.

    Raises:
        ValueError: The file cannot be read as configuration, or there is no such profile.
    """
    path = config_path(environment)
    table = read_table(path)
    profiles, chosen = table.pop("profiles", {}), table.pop("profile", "")
    profile = environment.get("HPCJOBS_PROFILE") or chosen
    try:
        config = _config(_with_profile(table, profile, profiles))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    url = environment.get("HPCJOBS_URL", config.url)
    elsewhere = bool(config.token) and "HPCJOBS_TOKEN" not in environment and not same_address(url, config.url)
    warnings = [exposed(path)] if config.token else []
    if elsewhere:
        warnings.append(
            f"HPCJOBS_URL names another service than the token's, {config.url}, which is not sent to it: "
            "set HPCJOBS_TOKEN, or call hpcjobs login"
        )
    config.url = url
    config.token = "" if elsewhere else environment.get("HPCJOBS_TOKEN", config.token)
    config.profile = profile
    config.warning = "; ".join(filter(None, warnings))
    return config
