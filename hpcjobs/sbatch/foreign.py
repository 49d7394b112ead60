"""Directives of other schedulers, ``#BSUB`` of LSF and ``#PBS``, translated as by sbatch(1), --ignore-pbs."""

from __future__ import annotations

import getopt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hpcjobs.sbatch.directives import Unclosed, split_words
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import whole_number
from hpcjobs.sbatch.said import UMASK, Said, hear

_MOST_OTHER_LINES: Final = 100
"""After so many lines that do not begin with ``#`` sbatch looks no further."""

_BSUB: Final = ("c:e:J:m:M:n:o:q:W:x", {
    "cwd": "c", "error_file": "e", "job_name": "J", "hostname": "m", "memory_limit": "M", "output_file": "o",
    "queue_name": "q", "time": "W", "exclusive": "x",
})  # fmt: skip
_PBS: Final = ("a:A:c:C:d:e:hIj:J:k:l:m:M:N:o:p:q:r:S:t:u:v:VW:w:z", {
    "start_time": "a", "account": "A", "checkpoint": "c", "working_dir": "C", "error": "e", "hold": "h",
    "interactive": "I", "join": "j", "job_array": "J", "keep": "k", "resource_list": "l", "mail_options": "m",
    "mail_user_list": "M", "job_name": "N", "out": "o", "priority": "p", "destination": "q", "rerunable": "r",
    "script_path": "S", "array": "t", "running_user": "u", "variable_list": "v", "all_env": "V", "attributes": "W",
    "no_std": "z",
})  # fmt: skip
"""Letters, and long names of them. What is among them and not below says nothing to Slurm."""

_LIKE_BSUB: Final = {"c": "chdir", "e": "error", "J": "job-name", "o": "output", "q": "partition", "W": "time"}
_LIKE_PBS: Final = {
    "a": "begin", "A": "account", "d": "chdir", "e": "error", "J": "array", "M": "mail-user", "N": "job-name",
    "o": "output", "p": "nice", "q": "partition", "t": "array", "w": "chdir",
}  # fmt: skip
_MAIL: Final = {"b": "BEGIN", "e": "END", "a": "FAIL"}


def _words_of(script: str, magic: str, name: str) -> list[str] | None:
    """All words after a magic word; None: no line begins with it."""
    words: list[str] = []
    found, others = False, 0
    for number, line in enumerate(script.split("\n"), start=1):
        if line.startswith(magic):
            found = True
            try:
                words += split_words(line.removeprefix(magic))
            except Unclosed as error:
                heard = f"fatal: {name}: line {number}: {error.heard}"
                raise Misspelt(f"line {number}: {error}", heard, exit_code=1) from error
        elif not line.startswith("#"):
            others += 1
            if others > _MOST_OTHER_LINES:
                break
    return words if found else None


def _letters(words: list[str], letters: str, longs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    takes = [f"{name}=" if f"{letter}:" in letters else name for name, letter in longs.items()]
    try:
        options, rest = getopt.getopt(words, letters, takes)
    except getopt.GetoptError as error:
        heard = "option requires an argument" if "requires" in error.msg else "invalid option"
        told = (f"{heard} -- '{error.opt}'", "error: Unrecognized command line parameter ?")
        raise Misspelt(str(error), *told, exit_code=1) from error
    if rest:
        raise Misspelt(f"{rest[0]!r} is no option", f"error: Invalid argument: {rest[0]}", exit_code=1)
    for name, argument in options:
        yield longs[name[2:]] if name.startswith("--") else name[1:], argument


def _hear_bsub(said: Said, letter: str, argument: str) -> None:
    if letter in _LIKE_BSUB:
        hear(said, _LIKE_BSUB[letter], argument)
    elif letter == "m":
        hear(said, "nodelist", argument.replace(" ", ","))
    elif letter == "M":
        hear(said, "mem-per-cpu", f"{argument}K" if argument[-1:].isdigit() else argument)
    elif letter == "n":
        _, comma, most = argument.partition(",")
        if comma and not most:
            heard = f"error: #BSUB -n format not correct given: '{argument}'"
            raise Misspelt(f"{argument!r} lacks a number", heard, exit_code=1)
        hear(said, "ntasks", most or argument)
    else:
        hear(said, "exclusive", None)


def _hear_pbs(said: Said, letter: str, argument: str) -> None:
    if letter in _LIKE_PBS:
        hear(said, _LIKE_PBS[letter], argument)
    elif letter == "h":
        hear(said, "hold", None)
    elif letter == "m":
        events = [event for mark, event in _MAIL.items() if mark in argument.lower()]
        hear(said, "mail-type", "NONE" if "n" in argument.lower() else ",".join(events))
    elif letter == "v":
        before = said.fields.get("export")
        hear(said, "export", f"{before},{argument}" if before else argument)
    elif letter == "W" and argument.lower().startswith("umask="):
        said.client[UMASK] = _umask(argument[len("umask=") :])
    elif letter == "W" and argument.lower().startswith("depend="):
        hear(said, "dependency", argument[len("depend=") :])
    elif letter == "l":
        _hear_resources(said, argument)


def _umask(text: str) -> str:
    if not re.fullmatch("0?[0-7]{1,3}", text):
        raise Misspelt(f"{text!r} is not a mask", "error: Invalid -W umask= specification")
    return text


_RESOURCES: Final[tuple[tuple[str, str, str], ...]] = (
    ("cput=", "time", ","),
    ("file=", "tmp", ","),
    ("mem=", "mem", ","),
    ("mpiprocs=", "ntasks-per-node", ":"),
    ("ncpus=", "mincpus", ":"),
    ("nice=", "nice", ","),
    ("pcput=", "time", ","),
    ("select=", "nodes", ":"),
    ("walltime=", "time", ","),
)
"""What of a list of resources is an option of sbatch, and what its value ends with."""
_PASSED_OVER: Final = ("arch=", "host=", "opsys=", "other=", "pmem=", "pvmem=", "software=", "vmem=")
_ANY_CAPITALS: Final = ("accelerator=", "mpiprocs=", "naccelerators=", "ncpus=", "select=")


def _hear_resources(said: Said, text: str) -> None:
    """``#PBS -l``: sbatch looks for the words of its table anywhere in the text, one character after the other."""
    at, gpus = 0, 0
    own: set[str] = set()

    def begins(word: str) -> bool:
        here = text[at : at + len(word)]
        return (here.lower() if word in _ANY_CAPITALS else here) == word

    def value(word: str, end: str) -> str:
        nonlocal at
        found, _, _ = text[at + len(word) :].partition(end)
        at += len(word) + len(found) + 1
        return found

    while at < len(text):
        if known := next((row for row in _RESOURCES if begins(row[0])), None):
            word, long, end = known
            found = value(word, end)
            hear(said, long, found[:-1] if long in ("tmp", "mem") and found[-1:] in "bB" else found)
            own.add(word)
        elif passed := next(filter(begins, _PASSED_OVER), ""):
            value(passed, ",")
        elif begins("accelerator="):
            at += len("accelerator=")
            gpus = max(gpus, int(text[at : at + 4].lower() == "true"))
        elif begins("naccelerators="):
            gpus = _count("naccelerators", value("naccelerators=", ","))
        elif begins("nodes="):
            _hear_nodes(said, value("nodes=", ","))
        elif begins("proc="):
            before = said.fields.get("resources.constraint")
            hear(said, "constraint", ",".join(filter(None, [value("proc=", ","), before])))
            value("", ",")
        else:
            at += 1
    _hear_together(said, own, gpus)


def _count(name: str, text: str) -> int:
    try:
        return whole_number(text)
    except ValueError as error:
        raise Misspelt(str(error), f'error: Invalid numeric value "{text}" for {name}.', exit_code=1) from error


def _hear_together(said: Said, own: set[str], gpus: int) -> None:
    """What follows from several resources of one list."""
    cpus, tasks = (said.fields.get(f"resources.{name}") or 0 for name in ("mincpus", "ntasks_per_node"))
    if own >= {"select=", "ncpus=", "mpiprocs="} and 0 < tasks < cpus:
        hear(said, "cpus-per-task", str(cpus // tasks))
    if gpus:
        before = said.fields.get("resources.gres")
        hear(said, "gres", f"{before},gpu:{gpus}" if before else f"gpu:{gpus}")


def _hear_nodes(said: Said, text: str) -> None:
    """``nodes=2:ppn=8:gpus=1+host1``: numbers of nodes and names of nodes, each with what it has."""
    nodes = per_node = 0
    names: list[str] = []
    for part in re.split("[+:]", text):
        name, _, count = part.partition("=")
        digits = re.match("[0-9]*", count if name == "ppn" else part)
        number = int(digits[0] or 0) if digits else 0
        if name == "gpus" and count:
            hear(said, "gpus-per-node", count)
        elif name == "ppn":
            per_node += number
        elif part[:1].isdigit():
            nodes += number
        elif part[:1].isalpha():
            names.append(part)
    if nodes:
        hear(said, "nodes", str(nodes))
    if per_node:
        hear(said, "ntasks", str(per_node * (nodes or 1)))
    if names:
        hear(said, "nodelist", ",".join(names))


_KINDS: Final[tuple[tuple[str, str, Mapping[str, str], Callable[[Said, str, str], None]], ...]] = (
    ("#BSUB", *_BSUB, _hear_bsub),
    ("#PBS", *_PBS, _hear_pbs),
)


def hear_foreign(said: Said, script: str, name: str) -> None:
    """Add what a script says to another scheduler: to LSF, or else to PBS.

    Args:
        said: What its ``#SBATCH`` lines say; is changed.
        script: The batch script.
        name: Its file name.

    Raises:
        Misspelt: It cannot be translated.
    """
    for magic, letters, longs, hear_one in _KINDS:
        words = _words_of(script, magic, name)
        if words is None:
            continue
        if magic == "#BSUB":
            words = ["-c" if word == "-cwd" and not at % 2 else word for at, word in enumerate(words)]
        for letter, argument in _letters(words, letters, longs):
            hear_one(said, letter, argument)
        return
