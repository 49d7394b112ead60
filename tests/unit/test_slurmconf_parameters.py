from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.slurmconf.conf import SlurmConf, amended, read_slurm_conf
from hpcjobs.slurmconf.lines import Unreadable
from hpcjobs.slurmconf.parameters import Move, parameters_of, tuned, undone

FILES = {
    "slurm.conf": "ClusterName=x # a name\nInclude common.conf\nNodeName=c[1-2]\n",
    "common.conf": "# of the site\nSchedulerType=sched/backfill\n"
    "SchedulerParameters=defer,bf_window=1440,bf_continue # as of May\nSlurmUser=slurm\n",
}


def conf_of(files: dict[str, str]) -> SlurmConf:
    return read_slurm_conf(files.__getitem__)


def test_only_what_is_named_changes_and_a_comment_says_what_it_was():
    tuning = tuned(conf_of(FILES), {"bf_window": "4320", "bf_resolution": "300", "bf_continue": ""})
    assert tuning.value == "defer,bf_window=4320,bf_continue,bf_resolution=300"
    assert tuning.moves == (
        Move("bf_window", "bf_window=1440", "bf_window=4320"), Move("bf_resolution", "", "bf_resolution=300")
    )  # fmt: skip
    assert tuning.files == {
        "common.conf": "# of the site\nSchedulerType=sched/backfill\n"
        "# hpcjobs tune: bf_window=4320 was bf_window=1440, bf_resolution=300 was nothing\n"
        "SchedulerParameters=defer,bf_window=4320,bf_continue,bf_resolution=300 # as of May\nSlurmUser=slurm\n"
    }


def test_undo_is_back_at_the_very_bytes_that_were_there_however_often_it_was_tuned():
    files = dict(FILES)
    for wanted in ({"bf_window": "4320"}, {"bf_window": "9000", "bf_max_job_test": "500"}, {"bf_max_job_test": "1000"}):
        files |= tuned(conf_of(files), wanted).files
    assert undone(conf_of(files)).files == {"common.conf": FILES["common.conf"]}


def test_a_key_that_was_not_there_is_put_at_the_end_and_goes_with_its_line():
    files = {"slurm.conf": "ClusterName=x\n"}
    new = tuned(conf_of(files), {"bf_continue": ""}).files
    assert new == {
        "slurm.conf": "ClusterName=x\n# hpcjobs tune: bf_continue was nothing\nSchedulerParameters=bf_continue\n"
    }
    undoing = undone(conf_of({**files, **new}))
    assert (undoing.value, undoing.files) == ("", files)


def test_what_is_as_it_should_be_is_left_alone():
    assert tuned(conf_of(FILES), {"BF_Window": "1440"}).moves == (
        Move("bf_window", "bf_window=1440", "BF_Window=1440"),
    )
    assert tuned(conf_of(FILES), {"bf_window": "1440", "bf_continue": ""}).files == {}
    assert undone(conf_of(FILES)).files == {}


def test_what_somebody_has_changed_since_stays_when_it_is_undone():
    files = FILES | tuned(conf_of(FILES), {"bf_window": "4320", "bf_resolution": "300"}).files
    files["common.conf"] = files["common.conf"].replace(",bf_window=4320", ",bf_window=777")
    undoing = undone(conf_of(files))
    assert undoing.kept == ("bf_window=777",)
    assert undoing.value == "defer,bf_window=777,bf_continue"
    assert undoing.files == {"common.conf": FILES["common.conf"].replace("1440", "777")}


def test_tuned_back_to_what_it_was_leaves_no_comment():
    files = FILES | tuned(conf_of(FILES), {"bf_window": "4320"}).files
    assert tuned(conf_of(files), {"bf_window": "1440"}).files == {"common.conf": FILES["common.conf"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("bf_window", "1\nProlog=/tmp/x"), ("bf_window", "1 Prolog=/tmp/x"), ("bf_window", "1,defer"), ("bf_window", "1#"),
     ("bf_window", "1\\"), ("bf_window", '"'), ("", "1"), ("bf=", "1"), ("9", "")],
)  # fmt: skip
def test_what_could_end_a_value_or_a_line_of_slurm_conf_is_no_parameter(name, value):
    with pytest.raises(Unreadable, match="can be no parameter of SchedulerParameters; nothing was changed"):
        tuned(conf_of(FILES), {name: value})


def test_a_continued_line_is_left_to_people():
    files = {"slurm.conf": "SchedulerParameters=defer \\\n  SlurmUser=root\n"}
    with pytest.raises(Unreadable, match=r"slurm.conf:1: schedulerparameters of this line must be changed by hand"):
        tuned(conf_of(files), {"bf_continue": ""})


def test_of_a_key_that_goes_nothing_is_left_but_its_neighbours():
    files = {"slurm.conf": "a=1 b=2 # two\nb=3\nc=4\n"}
    assert amended(files, {"b": None}) == {"slurm.conf": "a=1 # two\nc=4\n"}


NAMES = st.sampled_from(["defer", "bf_window", "bf_continue", "bf_resolution", "bf_max_job_test", "max_rpc_cnt"])
WANTED = st.dictionaries(NAMES, st.sampled_from(["", "1", "60", "4320"]), min_size=1)
BEFORE = st.dictionaries(NAMES, st.sampled_from(["", "7", "60", "1440"]))


@given(BEFORE, st.lists(WANTED, min_size=1, max_size=4))
def test_whatever_is_tuned_shows_what_was_wanted_keeps_the_rest_and_is_undone(before, orders):
    words = [f"{name}={value}" if value else name for name, value in before.items()]
    line = f"SchedulerParameters={','.join(words)}\n" if words else ""
    files = {"slurm.conf": f"ClusterName=x\n{line}SlurmUser=slurm\n" if line else "ClusterName=x\nSlurmUser=slurm\n"}
    now, expected = dict(files), parameters_of(",".join(words))
    for wanted in orders:
        now |= tuned(conf_of(now), wanted).files
        expected |= {name: f"{name}={value}" if value else name for name, value in wanted.items()}
        assert parameters_of(conf_of(now).settings["schedulerparameters"]) == expected
    assert now | undone(conf_of(now)).files == files
