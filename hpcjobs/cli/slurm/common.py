"""What the stand-ins of Slurm's commands have in common: a call, how it reaches the service, complains and ends."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from hpcjobs.profiles import ClientConfig, load
from hpcjobs.sbatch.getopt import Misspelt

if TYPE_CHECKING:
    from hpcjobs.client import ApiProblem, Client

T = TypeVar("T")

EVERY: Final = "all"
"""What --clusters says for every cluster of the service."""

PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A name that cannot lead anywhere else in a path."""

CLUSTER_UNKNOWN: Final = "cluster-unknown"
"""Code of the service's problem."""

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells count it."""


class Failed(Exception):
    """The command cannot do what it was asked for.

    Attributes:
        heard: What Slurm's program would say of it on stderr, after its own name and a colon: a line each.
        exit_code: How it ends.
    """

    def __init__(self, *heard: str, exit_code: int = 1) -> None:
        """With Slurm's words where there are some, else with our own."""
        super().__init__("; ".join(heard))
        self.heard = heard
        self.exit_code = exit_code


class Call:
    """One call of a stand-in. What it says never changes; what it knows of the service is asked once.

    Attributes:
        program: Name of Slurm's program.
        words: What was typed behind it.
        environment: The caller's variables.
        config: Where the service is, and who asks.
        answered: Whether the service has answered.
    """

    def __init__(
        self, program: str, words: Sequence[str], environment: Mapping[str, str], config: ClientConfig
    ) -> None:
        self.program: Final = program
        self.words: Final = tuple(words)
        self.environment: Final = environment
        self.config: Final = config
        self._opened: list[Client] = []
        self.answered = False

    @functools.cached_property
    def clusters(self) -> Sequence[str]:
        """Names of the service's clusters, its default first.

        Raises:
            Failed: The service refuses, or stays away.
        """
        from hpcjobs.cli.slurm.service_read import cluster_names

        return cluster_names(self)

    @functools.cached_property
    def user(self) -> str:
        """The name under which the service knows the caller.

        Raises:
            Failed: The service refuses, or stays away.
        """
        from hpcjobs.cli.slurm.service_read import user_name

        return user_name(self)

    def ask(self, question: Callable[[Client], T], cluster: str = "") -> T:
        """Ask with the whole client, which loads slowly, and knows how to wait and what is wrong.

        Args:
            question: What is asked.
            cluster: About which cluster; ``""``: none, or the service's default.

        Raises:
            Failed: The service refuses, or stays away.
        """
        from hpcjobs.client import ApiProblem, Client

        if not self._opened:
            self._opened.append(Client(self.config.url, self.config.token, self._wait))
        try:
            answer = question(self._opened[0])
        except ApiProblem as problem:
            raise _refused(problem, cluster) from problem
        self.reached()
        return answer

    def reached(self) -> None:
        """Note that the service has answered."""
        self.answered = True

    def _wait(self, problem: ApiProblem) -> None:
        say(self.program, f"{problem.detail} Trying again in {problem.retry_after_s:g} s.")

    def close(self) -> None:
        """Leave the service."""
        while self._opened:
            self._opened.pop().close()


def _refused(problem: ApiProblem, cluster: str) -> Failed:
    from hpcjobs.cli.advice import advice

    if cluster and problem.code == CLUSTER_UNKNOWN:
        return no_cluster([cluster], cluster)
    lines = problem.sentences
    return Failed(*(f"error: {line}" for line in [*lines, *filter(None, [advice(problem)])]))


def chosen_clusters(call: Call, said: str | None) -> Sequence[str]:
    """The clusters that a call is about; ``""`` is the service's default, which nobody need be asked for.

    Args:
        call: The call.
        said: Argument of --clusters; None: nothing was said.

    Raises:
        Failed: The service has no such cluster.
    """
    if said is None:
        return [name for name in call.config.cluster.split(",") if name] or [""]
    if said == EVERY:
        return call.clusters
    names = said.split(",")
    if len(names) == 1 and PLAIN.fullmatch(said):
        return names  # if there is none, whatever is asked of it says so
    unknown = [name for name in names if name not in call.clusters]
    if unknown:
        raise no_cluster(unknown, said)
    return names


def no_cluster(unknown: Sequence[str], said: str) -> Failed:
    """What Slurm's programs say of clusters that there are not.

    Args:
        unknown: These.
        said: The whole argument of --clusters.
    """
    return Failed(
        *(f"error: No cluster '{name}' known by database." for name in unknown),
        f"error: '{said}' can't be reached now, or it is an invalid entry for --cluster.  "
        "Use 'sacctmgr list clusters' to see available clusters.",
        "fatal: Could not get cluster information",
    )


def run(
    program: str, main: Callable[[Call], int], words: Sequence[str], environment: Mapping[str, str] = os.environ
) -> int:
    """Run a stand-in, and say on stderr what is wrong as the program that it stands in for would.

    What was kept while the service was away goes out when it has succeeded.

    Args:
        program: Its name.
        main: Does what the words say; returns the exit code.
        words: After the program's name.
        environment: The caller's variables.

    Returns:
        The exit code.
    """
    try:
        return _run(Call(program, words, environment, load(environment)), main)
    except Misspelt as error:
        say(program, *error.heard)
        if error.heard and not error.heard[0].startswith(("error:", "fatal:")):
            sys.stderr.write(f'Try "{program} --help" for more information\n')
        return error.exit_code
    except Failed as error:
        say(program, *error.heard)
        return error.exit_code
    except ValueError as error:
        say(program, f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: nobody is left to be told
        return 1


def _run(call: Call, main: Callable[[Call], int]) -> int:
    try:
        code = main(call)
        if not code and call.answered:
            _send_later(call)
    finally:
        call.close()
    return code


def _send_later(call: Call) -> None:
    from hpcjobs.cli.spool import anything_waits

    if anything_waits(call.environment):
        from hpcjobs.cli.spool.later import send_later

        send_later(call.config, call.environment)


def say(program: str, *lines: str) -> None:
    """Tell the caller on stderr, each line behind the program's name."""
    for line in lines:
        sys.stderr.write(f"{program}: {line}\n")
