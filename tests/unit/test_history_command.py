"""``hpcjobs history`` as it is read: a line a run, then the story of each that ended badly, then what comes next."""

from __future__ import annotations

import pytest

from hpcjobs.chain import chain
from hpcjobs.cli import history
from hpcjobs.cli.show import moment
from hpcjobs.model.failure import Diagnosis, FailureClass, Finding, Sureness
from hpcjobs.model.job import State
from hpcjobs.model.job_runs import JobRuns
from hpcjobs.model.recovery import Hold, RecoveryState, Retry, Stop
from tests.unit.builders import job
from tests.unit.test_chain import ATTEMPTS, accounted, progress, recovery, running

SENTENCE = "A node of the job failed."
FINDING = Finding(
    failure=FailureClass.NODE, pattern="p", source="stderr", line=12, text="all is \x1b[31mlost " + "and gone " * 12
)
TOLD = Finding(failure=FailureClass.NODE, pattern="p", source="Slurm", text="node of the job")
NODE = Diagnosis(failure=FailureClass.NODE, sure=Sureness.WEAK, sentence=SENTENCE, findings=(TOLD, *(FINDING,) * 5))
ELSEWHERE = Retry(why=f"{SENTENCE} It is started on other nodes.", at=0.0, avoid=("n2", "n3"))


def shown(capsys, *decided, now=None, attempts=ATTEMPTS[1:], came=(), **more) -> str:
    now = now or running(restarts=1, start_time=95)
    runs = chain(now, attempts, decided, [accounted(run, exit_code=3) for run in range(now.restarts)], [], came)
    history._show(JobRuns(job=now, attempts=tuple(attempts), runs=runs, **({"next": "It runs."} | more)))
    return capsys.readouterr().out


def test_a_run_that_failed_has_its_story(capsys):
    said = shown(capsys, recovery(diagnosis=NODE, decision=ELSEWHERE))
    head, story, last = said.split("\n\n")
    assert head.splitlines()[0].split() == ["RUN", "BEGAN", "RAN", "END", "THEN", "NODES"]
    assert head.splitlines()[1].split("\t") == ["0", moment(10), "00:01:20", "NODE_FAIL", "again in 5.0 s", "n[0-9]"]
    assert head.splitlines()[2].split("\t")[3:] == ["RUNNING", "-", "n[1-2]"]
    lines = story.splitlines()
    assert lines[:2] == [f"Run 0, ended {moment(90)}, exit code 3:", f"  {SENTENCE} (node, not sure)"]
    assert lines[2].startswith("    stderr:12: all is \N{REPLACEMENT CHARACTER}[31mlost and gone")
    assert lines[3].startswith("      gone and gone")
    assert story.count("stderr:12") == history.MOST_LINES
    assert lines[-2:] == [
        "  It is started on other nodes. Avoided: n2, n3.",
        "  Decided by checkpoint 1.0 s after the end; it ran again 4.0 s later.",
    ]
    assert last == "Next: It runs.\n"


@pytest.mark.parametrize(
    ("decision", "state", "then", "line"),
    [
        (Stop(f"{SENTENCE} Enough."), RecoveryState.OVER, "stays", "  Left as it ended: Enough."),
        (Hold("Too often."), RecoveryState.OVER, "stays", "  Left as it ended: Too often."),
        (Hold("Too often."), RecoveryState.DONE, "held", "  Held: Too often."),
        (Retry(why=SENTENCE, at=0.0), RecoveryState.OPEN, "again", "  Started again."),
    ],
)
def test_what_was_decided_is_told(capsys, decision, state, then, line):
    held = job(state=State.HELD, restarts=1)
    said = shown(capsys, recovery(diagnosis=NODE, decision=decision, state=state), now=held)
    assert said.splitlines()[1].split("\t")[4] == then
    assert line in said.splitlines()


def test_a_run_that_slurm_itself_had_again_says_how_long_that_took(capsys):
    said = shown(capsys, now=running(restarts=1, start_time=211))
    assert said.splitlines()[1].split("\t")[4] == "again in 00:02:01"
    assert "Run 0" not in said


def test_how_far_runs_came_is_told(capsys):
    saved = "/x/saved/step-1200.attempt-1.0123456789ab"
    first = progress(0, step=1240, checkpoint=saved, checkpoint_step=1200, checkpoint_at=80.0, fault="the disk is full")
    lines = shown(capsys, came=[first, progress(1, step=1201, resumed=saved)]).splitlines()
    assert f"  Came to step 1240. Last checkpoint: step 1200 at {moment(80)}." in lines
    assert "    Its agent: the disk is full" in lines
    assert "  Went on from step 1200. Came to step 1201. It left no checkpoint." in lines


def test_a_decision_about_a_run_that_hangs_comes_before_its_end(capsys):
    hang = Diagnosis(failure=FailureClass.HANG, sure=Sureness.STRONG, sentence="It does nothing.")
    again = Retry(why="It does nothing. It is started again.", at=0.0)
    said = shown(capsys, recovery(diagnosis=hang, decision=again, at=50.0, decided_at=51.0))
    assert "  Decided by checkpoint while it hung; it ran again 44.0 s later." in said.splitlines()


def test_attempts_are_told_where_there_were_several_and_when_it_starts_where_that_is_known(capsys):
    said = shown(capsys, attempts=ATTEMPTS, next="It starts.", next_at=200.0, more=7)
    assert said.startswith("7 runs before these are left out.\n")
    assert f"{moment(5)} attempt 1 unsent. away\n{moment(7)} attempt 2 sent." in said
    assert said.endswith(f"Next: It starts. Not before {moment(200)}.\n")


def test_an_array_names_the_tasks_that_have_a_story(capsys):
    said = shown(capsys, now=job(array_size=9), tasks=(3, 4, 7), next="Each has its own.")
    assert said == (
        "Tasks of which something was decided: 3-4,7. See hpcjobs history 7_3.\n\nNext: Each has its own.\n"
    )


def test_text_fits_a_terminal_of_80_columns(capsys):
    story = shown(capsys, recovery(diagnosis=NODE, decision=ELSEWHERE), next="word " * 40).partition("\n\n")[2]
    assert max(map(len, story.splitlines())) <= history.WIDTH
