"""The batch script around a job's own, run by a real shell with runtimes that tell what they were given."""

from __future__ import annotations

import os
import signal
import stat
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpcjobs.containers.script import FOLDER, batch_script, run_script
from hpcjobs.model.container import Launch, Where

TELLS = '#!/bin/sh\nfor word; do printf "%s: <%s>\\n" "${0##*/}" "$word"; done\n'
RUNS = '#!/bin/sh\nwhile [ "$1" != -- ]; do printf "%s: <%s>\\n" "${0##*/}" "$1"; shift; done; shift; exec "$@"\n'
SCRIPT = '#!/bin/sh\n#SBATCH -N1\necho "script in $0 has $*"\nexit 7\n'


class Node:
    """A folder that is a node's: home, and commands of its own before the system's."""

    def __init__(self, folder):
        self.home, self.bin = folder / "home dir", folder / "bin"
        self.started = 0
        self.home.mkdir()
        self.bin.mkdir()
        self.command("box", RUNS)
        self.command("srun", RUNS)

    def command(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def start(self, launch, script=SCRIPT, args=(), **environment):
        self.started += 1
        batch = self.home / f"slurm_script.{self.started}"
        batch.write_text(batch_script(launch, script, str(self.home)), encoding="utf-8")
        told = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", **environment}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(["sh", batch, *args], text=True, env=told, cwd=self.home, **pipes)

    def run(self, launch, script=SCRIPT, args=(), **environment):
        process = self.start(launch, script, args, **environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    @property
    def kept(self):
        return sorted((self.home / FOLDER).glob("*/*"))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


BOX = Launch("apptainer", "docker://a:1", before=("box", "--in"), after=("the image", "--"))


def test_the_script_runs_inside_with_its_words_and_its_exit_code(node):
    code, out, err = node.run(BOX, args=("a b", "", "$HOME"))
    script = node.kept[1]
    assert (code, err) == (7, "")
    assert out == f"box: <--in>\nbox: <the image>\nscript in {script} has a b  $HOME\n"
    assert [path.name for path in node.kept] == ["run", "script"]


def test_a_job_of_several_tasks_has_each_of_them_inside(node):
    code, out, _ = node.run(
        Launch("apptainer", "a", scope="tasks", before=("box",), after=("image", "--"), srun=("--mpi=pmix", "--"))
    )
    assert code == 7
    assert out.startswith("srun: <--mpi=pmix>\nbox: <image>\nscript in ")


def test_where_srun_brings_the_container_the_script_is_a_step_of_one_task(node):
    code, out, _ = node.run(Launch("pyxis", "a", srun=("--container-image=a b", "--"), environment={"X": "1"}))
    assert code == 7
    assert out.startswith("srun: <--nodes=1>\nsrun: <--ntasks=1>\nsrun: <--container-image=a b>\nscript in ")
    assert [path.name for path in node.kept] == ["script"]


def test_a_script_that_stays_outside_is_told_how_its_steps_come_inside(node):
    script = "#!/bin/sh\necho out; srun $HPCJOBS_SRUN -- $HPCJOBS_WRAP echo in\n"
    launch = Launch("apptainer", "a", scope="steps", before=("box",), after=("image", "--"), srun=("--mpi=pmix",))
    home = node.home
    node.home = home.parent / "plain"  # words of a shell: homes have no blanks
    node.home.mkdir()
    code, out, err = node.run(launch, script)
    assert (code, err) == (0, "")
    assert out == "out\nsrun: <--mpi=pmix>\nbox: <image>\nin\n"
    code, out, _ = node.run(Launch("pyxis", "a", scope="steps", srun=("--container-image=h#a:1",)), script)
    assert (code, out) == (0, "out\nsrun: <--container-image=h#a:1>\nin\n")


def test_what_a_node_lacks_is_not_said_there(node, tmp_path):
    launch = Launch(
        "apptainer",
        "a",
        before=("box",),
        where=(Where(str(tmp_path), ("--bind", "there it is")), Where("/nowhere/at all", ("--bind", "not"))),
        after=("image", "--"),
    )
    _, out, _ = node.run(launch)
    assert out.startswith("box: <--bind>\nbox: <there it is>\nbox: <image>\nscript")


def test_variables_are_set_for_the_runtime_and_copied_where_there_are_any(node):
    launch = Launch(
        "apptainer", "a", before=("box",), after=("--",),
        environment={"APPTAINERENV_A": "it's $HOME\n`x`"}, copied={"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"},
    )  # fmt: skip
    tells = '#!/bin/sh\necho "$APPTAINERENV_A|${NVIDIA_VISIBLE_DEVICES-none}"\n'
    assert node.run(launch, tells)[1] == "it's $HOME\n`x`|none\n"
    assert node.run(launch, tells, CUDA_VISIBLE_DEVICES="0,3")[1] == "it's $HOME\n`x`|0,3\n"
    assert node.run(launch, tells, CUDA_VISIBLE_DEVICES="")[1] == "it's $HOME\n`x`|\n"


def test_a_runtime_that_hands_on_nothing_is_told_the_names_of_variables_and_no_value(node):
    node.command("box", TELLS)
    launch = Launch("enroot", "a", before=("box",), after=("image",), env_flag="--env", environment={"KEY": "secret"})
    _, out, _ = node.run(launch, SLURM_PROCID="3", name="mine", ODD="a\nFAKE=1", **{"BASH_FUNC_module%%": "() { :; }"})
    names = [line.removeprefix("box: <").removesuffix(">") for line in out.splitlines()]
    assert {"KEY", "name", "SLURM_PROCID", "SLURM_JOB_ID", "ODD"} <= set(names)
    assert not {"PATH", "HOME", "FAKE", "hpcjobs_name", "BASH_FUNC_module%%"} & set(names)
    assert "secret" not in out


def test_an_image_of_the_store_was_used_now(node, tmp_path):
    image = tmp_path / "a'b.sif"
    image.write_bytes(b"")
    os.utime(image, (1, 1))
    launch = Launch("apptainer", str(image), digest="sha256:0", before=("box",), after=("--",))
    assert node.run(launch)[0] == 7
    assert image.stat().st_mtime > 1
    gone = Launch("apptainer", str(tmp_path / "gone.sif"), digest="sha256:0", before=("box",), after=("--",))
    code, out, err = node.run(gone)
    assert (code, out, err) == (1, "", f"hpcjobs: container: {tmp_path}/gone.sif is not in the store any more\n")
    assert not (tmp_path / "gone.sif").exists()


def test_a_signal_for_the_script_reaches_the_program_inside(node):
    script = '#!/bin/sh\ntrap "echo saved; exit 3" USR1\necho ready\nwhile :; do sleep 0.05; done\n'
    process = node.start(BOX, script)
    assert [process.stdout.readline() for _ in range(3)][-1] == "ready\n"
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "saved\n")


def test_only_the_user_can_read_what_is_kept_and_the_umask_of_the_job_is_its_own(node):
    script = "#!/bin/sh\numask\n"
    before = os.umask(0o027)
    try:
        _, out, _ = node.run(BOX, script)
    finally:
        os.umask(before)
    assert out.endswith("0027\n")
    assert {stat.S_IMODE(path.stat().st_mode) for path in node.kept} == {0o700}
    assert stat.S_IMODE(node.kept[0].parent.stat().st_mode) == 0o700


def test_any_number_of_runs_may_begin_at_once(node):
    started = [node.start(BOX, SLURM_JOB_ID=str(number)) for number in range(24)]
    assert {process.wait(60) for process in started} == {7}
    assert [path.name for path in node.kept] == ["run", "script"]
    assert not list((node.home / FOLDER).rglob(".*"))
    for process in started:
        process.communicate()


def test_a_script_that_cannot_be_kept_is_not_run(node):
    (node.home / ".hpcjobs").write_text("a file")
    code, out, err = node.run(BOX)
    assert (code, out) == (1, "")
    assert "mkdir" in err


@example("hpcj\x80")  # in a here-document dash loses a byte of it
@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), min_size=1, max_size=200))
def test_a_script_is_kept_to_the_letter(tmp_path_factory, text):
    node = Node(tmp_path_factory.mktemp("node"))
    node.command("box", "#!/bin/sh\n")
    code, _, err = node.run(BOX, text)
    assert (code, err) == (0, "")
    (kept,) = (path for path in node.kept if path.name == "script")
    assert kept.read_bytes().decode() == text


def test_slurm_reads_nothing_out_of_what_is_around(node):
    from hpcjobs.sbatch.directives import find_directives

    assert find_directives(batch_script(BOX, SCRIPT, "/home/alice")) == []


def test_an_image_of_an_odd_name_stays_in_its_comment():
    text = run_script(Launch("apptainer", "/a\nrm -rf /", before=("box",)))
    assert text.splitlines()[1] == "# hpcjobs: runs its words in /a?rm -rf /, by apptainer."


def test_what_is_kept_does_not_depend_on_the_moment():
    assert batch_script(BOX, SCRIPT, "/home/alice") == batch_script(BOX, SCRIPT, "/home/alice/")
