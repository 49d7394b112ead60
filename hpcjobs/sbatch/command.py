"""A whole call of sbatch, read as sbatch reads it: script, variables and command line, weakest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from hpcjobs.sbatch.component import EARLY, Part, options_of
from hpcjobs.sbatch.directives import HETJOB, Unclosed, find_directives, split_words
from hpcjobs.sbatch.getopt import Grammar, Misspelt, named_options
from hpcjobs.sbatch.options import COMPONENT_FIELDS, RESOURCES, Fields
from hpcjobs.sbatch.said import Said
from hpcjobs.sbatch.settle import SETTLES
from hpcjobs.sbatch.variables import EARLY_VARIABLES, hear_variables

Client = dict[str, str | Literal[True]]


class Line(NamedTuple):
    """A command line, looked through once.

    Attributes:
        components: Options and their arguments, between ``:`` and ``:``.
        words: The script and its arguments.
        early: The options that count at once, and those of ours that sbatch has not.
        everywhere: What all options of it say. sbatch looks at the line twice, the first time before it reads the
            script: what it keeps at ":" holds for the components before, too.
    """

    components: list[list[tuple[str, str | None]]]
    words: list[str]
    early: Client
    everywhere: Part


class Command(NamedTuple):
    """What a call of sbatch asks for.

    Attributes:
        components: Fields of the spec, for each component; only the first has those of the whole job.
        client: Options that tell the program what to do.
        site: Options of a site's SPANK plugins.
        notes: What sbatch would say about it on stderr, after its own name.
    """

    components: list[Fields]
    client: Client
    site: Client
    notes: list[str]

    def request(self) -> dict[str, object]:
        """The fields as the JSON of a submission."""
        first, *others = (_nested(fields) for fields in self.components)
        return first | ({"het": others} if others else {})


def _nested(fields: Fields) -> dict[str, object]:
    said = {name: value for name, value in fields.items() if value is not None}
    resources = {name.removeprefix(RESOURCES): value for name, value in said.items() if name.startswith(RESOURCES)}
    own = {name: value for name, value in said.items() if not name.startswith(RESOURCES)}
    return own | ({"resources": resources} if resources else {})


def read_line(words: Sequence[str], grammar: Grammar) -> Line:
    """Look through a command line: where its options end, and what counts at once.

    Args:
        words: Without the program's name.
        grammar: sbatch's options and those of the site's SPANK plugins.

    Raises:
        Misspelt: A word is no option, or has an argument that it cannot have.
    """
    rest = iter([word for word in words if word != ":"])
    early: Client = {}
    after: list[str] = []
    for long, argument in named_options(rest, grammar):
        if not long:
            after = [argument or "", *rest]
        elif long in EARLY or long in grammar.whole:
            if argument is None and long in ("verbose", "quiet"):
                argument = str(int(early.get(long, "0")) + 1)
            early[long] = True if argument is None else argument
    if after and "wrap" in early:
        raise Misspelt("there is a script already", "error: Script arguments not permitted with --wrap option",
            exit_code=1)  # fmt: skip
    options = iter(words[: len(words) - len(after) - words[len(words) - len(after) :].count(":")])
    components: list[list[tuple[str, str | None]]] = [[]]
    colon = True
    while colon:
        colon = False
        for long, argument in named_options(options, grammar):
            if long and long not in grammar.whole:
                components[-1].append((long, argument))
            elif argument == ":":
                components.append([])
                colon = True
    everywhere = Part(None)
    everywhere.hear(chain.from_iterable(components), by="variable")
    return Line(components, after, early, everywhere)


def _directives(script: str, name: str, notes: list[str]) -> list[list[tuple[int, list[str]]]]:
    """The words of each directive line with its number, for each component."""
    components: list[list[tuple[int, list[str]]]] = [[]]
    for number, magic, text in find_directives(script):
        if magic == "#SLURM":
            notes.append(
                "error: Change from #SLURM to #SBATCH in your script and verify the options are valid in sbatch"
            )
        try:
            words = split_words(text)
        except Unclosed as error:
            heard = f"fatal: {name}: line {number}: {error.heard}"
            raise Misspelt(str(error), heard, exit_code=1) from error
        if words and words[0].lower() in HETJOB:
            components.append([])
            words = words[1:]
        components[-1].append((number, words))
    return components


def _count_notes(fields: Fields) -> list[str]:
    tasks, nodes = fields.get("resources.ntasks"), fields.get("resources.nodes")
    if tasks is None or nodes is None or nodes <= tasks:
        return []
    return [f"warning: can't run {tasks} processes on {nodes} nodes, setting nnodes to {tasks}"]


def read_command_line(
    line: Line, script: str, environment: Mapping[str, str], grammar: Grammar, name: str = "stdin"
) -> Command:
    """Fold a call of sbatch: ``#SBATCH``, ``#BSUB`` and ``#PBS``, variables, command line; the later wins.

    Args:
        line: The command line.
        script: The batch script.
        environment: The caller's variables.
        grammar: sbatch's options and those of the site's SPANK plugins.
        name: File name of the script, for what is said about it.

    Raises:
        Misspelt: Something cannot be read, or excludes something else.
    """
    notes: list[str] = []
    directives = _directives(script, name, notes)
    early = Said.nothing()
    list(hear_variables(early, environment, EARLY_VARIABLES))
    parts: list[Part] = []
    for number in range(max(len(directives), len(line.components))):
        part = Part(parts[-1] if parts else line.everywhere)
        part.hear_directives(directives[number] if number < len(directives) else (), grammar)
        if ("#PBS" in script or "#BSUB" in script) and "ignore-pbs" not in {**early.client, **part.said.client}:
            part.hear_foreign(script, name)
        for long in hear_variables(part.said, {**environment, **_told_onward(parts)}):
            part.mark(long, "variable")
        part.hear(line.components[min(number, len(line.components) - 1)])
        for settle in SETTLES:
            settle(part)
        notes += _count_notes(part.said.fields)
        parts.append(part)
    return Command(
        _components(parts, notes), {**early.client, **parts[-1].said.client, **line.early}, parts[-1].said.site, notes
    )


def _told_onward(parts: Sequence[Part]) -> dict[str, str]:
    """Sbatch puts the hint of a component into a variable that it reads for the next."""
    hint = parts[-1].said.fields.get("resources.hint") if parts else None
    return {} if hint is None else {"SLURM_HINT": hint}


def _components(parts: Sequence[Part], notes: list[str]) -> list[Fields]:
    first = parts[0].said.fields
    found = [first]
    for part in parts[1:]:
        own = {name: part.said.fields[name] for name in part.said.fields if name.partition(".")[0] in COMPONENT_FIELDS}
        for name, value in part.said.fields.items():
            if name not in own and value != first.get(name):
                told = f"{name} is the whole job's, and the first component's counts"
                if not options_of({name}) <= set(part.is_by("variable", *part.by)):
                    raise Misspelt(told, f"error: {told}", exit_code=1)
                notes.append(f"warning: {told}")
        found.append(own)
    return found
