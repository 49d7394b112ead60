"""``hpcjobs completion``: the lines that teach a shell."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete, add_completion_class

from hpcjobs.cli.entry import OF_SLURM

BASH: Final = """\
# hpcjobs: eval "$(hpcjobs completion bash)" in ~/.bashrc
_hpcjobs_suggest() {
    local IFS=$'\\n' line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%,*} value=${line#*,}
        case $kind in
        dir) compopt -o dirnames 2>/dev/null ;;
        file) compopt -o default 2>/dev/null ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="$1" COMP_CWORD="$2" _HPCJOBS_COMPLETE=bash_complete command hpcjobs 2>/dev/null)
}
_hpcjobs() {
    local IFS=$'\\n'
    _hpcjobs_suggest "${COMP_WORDS[*]}" "$COMP_CWORD"
}
_hpcjobs_stand_in() {
    local IFS=$'\\n'
    _hpcjobs_suggest "hpcjobs"$'\\n'"${1##*/}"$'\\n'"${COMP_WORDS[*]:1}" "$((COMP_CWORD + 1))"
}
complete -o nosort -F _hpcjobs hpcjobs
# Links of Slurm's names that lead here; Slurm's own programs keep their own completion.
_hpcjobs_link() {
    local of mine
    of=$(command -v "$1") && mine=$(command -v hpcjobs) || return 0
    [ "$(readlink -f "$of")" != "$(readlink -f "$mine")" ] || complete -o nosort -F _hpcjobs_stand_in "$1"
}
for _hpcjobs_name in SLURM_NAMES; do _hpcjobs_link "$_hpcjobs_name"; done
unset _hpcjobs_name
"""

_ZSH_LINKS: Final = """
_hpcjobs_stand_in() {
    words=(hpcjobs "${words[1]:t}" "${(@)words[2,-1]}")
    (( CURRENT++ ))
    _hpcjobs_completion
}
for _hpcjobs_name in SLURM_NAMES; do
    [[ -n ${commands[$_hpcjobs_name]} && ${commands[$_hpcjobs_name]:A} == ${commands[hpcjobs]:A} ]] &&
        compdef _hpcjobs_stand_in $_hpcjobs_name
done
unset _hpcjobs_name
"""


@add_completion_class
class Bash(BashComplete):
    """Bash, which makes three words of ``--partition=gpu``: the second is left out."""

    name = "bash"

    def get_completion_args(self) -> tuple[list[str], str]:
        """See click."""
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], "" if incomplete == "=" else incomplete


def script_of(shell: str, root: click.Command) -> str:
    """What a shell is to evaluate.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
        root: The command line's root.
    """
    names = " ".join(OF_SLURM)
    if shell == "bash":
        return BASH.replace("SLURM_NAMES", names)
    if shell == "zsh":
        return ZshComplete(root, {}, "hpcjobs", "_HPCJOBS_COMPLETE").source() + _ZSH_LINKS.replace("SLURM_NAMES", names)
    return FishComplete(root, {}, "hpcjobs", "_HPCJOBS_COMPLETE").source()


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options, jobs, partitions and more.

    bash: eval "$(hpcjobs completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc after compinit; fish:
    hpcjobs completion fish > ~/.config/fish/completions/hpcjobs.fish
    """
    click.echo(script_of(shell, context.find_root().command), nl=False)
