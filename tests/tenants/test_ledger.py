"""Accounts and limits in sacctmgr's words, as 26.05 and 24.11 print them."""

from __future__ import annotations

import pytest

from hpcjobs.errors import HpcjobsError, Refused, Unavailable
from hpcjobs.model.tenant import LedgerOrder, Setting
from hpcjobs.slurm.accounting import AccountTold, Coordinator
from hpcjobs.slurm.ledger import judge, ledger_of, order_words, read

ASSOCIATIONS = """root|||1||||||normal
root|hpcjobs||1|||0|||normal
tst||root|1|gres/gpu:a100=2,mem=3000M|3|0|10:00:00|tst-spare|normal,tst-spare
tst|alice||1||||10:00:00|tst-spare|normal,tst-spare
low||tst|100|mem=2G|||2-00:00:00||normal
"""
QOS = """normal|Normal QOS default|0|00:00:00|cluster|||||
tst-spare|tst (hpcjobs, c)|7|00:05:00|requeue|2|9|gres/gpu=4|gres/gpu=2,mem=2G|normal,low
elsewhere|tst (hpcjobs, d)|7|00:00:00|cluster|||||
byhand|mine (hpcjobs)|0|00:00:00|cluster|||||
"""
TRES = "cpu|\nmem|\nfs|disk\ngres|gpu\ngres|gpu:a100\n"
ACCOUNTS = (
    AccountTold("tst", coordinators=(Coordinator("dave"),)),
    AccountTold("low", coordinators=(Coordinator("dave", direct=False),)),
    AccountTold("elsewhere", coordinators=(Coordinator("eve"),)),
)


def test_limits_are_read_in_one_unit_each_and_only_coordinators_of_the_account_itself():
    ledger = ledger_of(ASSOCIATIONS, ACCOUNTS, TRES, QOS, "c")
    of_tst = {(key.field, key.of): value for key, value in ledger.settings.items() if key.project == "tst"}
    assert of_tst == {
        ("account", ""): "there", ("parent", ""): "root", ("fairshare", ""): "1", ("GrpJobs", ""): "3",
        ("GrpSubmitJobs", ""): "0", ("MaxWall", ""): "600", ("GrpTRES", "gres/gpu:a100"): "2",
        ("GrpTRES", "mem"): "3000", ("member", "alice"): "there", ("manager", "dave"): "there",
        ("DefaultQOS", ""): "tst-spare", ("QosLevel", "normal"): "there", ("QosLevel", "tst-spare"): "there",
        ("qos", "tst-spare"): "there", ("qos.Priority", "tst-spare"): "7", ("qos.GraceTime", "tst-spare"): "300",
        ("qos.PreemptMode", "tst-spare"): "requeue", ("qos.MaxJobsPerUser", "tst-spare"): "2",
        ("qos.MaxSubmitJobsPerUser", "tst-spare"): "9", ("qos.GrpTRES", "tst-spare:gres/gpu"): "4",
        ("qos.MaxTRESPerUser", "tst-spare:gres/gpu"): "2", ("qos.MaxTRESPerUser", "tst-spare:mem"): "2048",
        ("qos.Preempt", "tst-spare:normal"): "there", ("qos.Preempt", "tst-spare:low"): "there",
    }  # fmt: skip
    assert ledger.settings[Setting("low", "GrpTRES", "mem")] == "2048"
    assert ledger.settings[Setting("low", "MaxWall")] == "2880"
    assert Setting("low", "manager", "dave") not in ledger.settings
    assert Setting("elsewhere", "manager", "eve") not in ledger.settings
    assert ledger.tres == {"cpu", "mem", "fs/disk", "gres/gpu", "gres/gpu:a100"}


def test_a_qos_that_hpcjobs_did_not_make_for_this_cluster_is_known_and_nothing_of_it_is_ours():
    ledger = ledger_of(ASSOCIATIONS, ACCOUNTS, TRES, QOS, "C")
    assert ledger.qos == {"normal": "", "tst-spare": "tst", "elsewhere": "", "byhand": ""}
    assert {key.of.partition(":")[0] for key in ledger.settings if key.field.startswith("qos")} == {"tst-spare"}


def test_what_is_no_listing_is_not_believed():
    with pytest.raises(Unavailable, match="cannot read"):
        read(b"sacctmgr: hello|x\n", (), b"", b"", "c")
    with pytest.raises(Unavailable, match="cannot read"):
        read(b"", (), b"", b"sacctmgr: hello\n", "c")
    with pytest.raises(Unavailable, match="cannot read"):
        read(b"a||root|1|mem=lots|||||\n", (), b"", b"", "c")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (Setting("v", "GrpTRES", "gres/gpu"), "4", "modify account where name=v cluster=c set GrpTRES=gres/gpu=4"),
        (Setting("v", "GrpTRES", "gres/gpu"), "", "modify account where name=v cluster=c set GrpTRES=gres/gpu=-1"),
        (Setting("v", "MaxWall"), "60", "modify account where name=v cluster=c set MaxWall=60"),
        (Setting("v", "fairshare"), "", "modify account where name=v cluster=c set fairshare=1"),
        (Setting("v", "member", "al"), "there", "add user al account=v cluster=c"),
        (Setting("v", "member", "al"), "", "delete user where name=al account=v cluster=c"),
        (Setting("v", "manager", "al"), "", "delete coordinator account=v names=al"),
        (Setting("v", "qos", "q"), "there", "add qos q description=v (hpcjobs, c)"),
        (Setting("v", "qos.Priority", "q"), "7", "modify qos where name=q set Priority=7"),
        (Setting("v", "qos.Priority", "q"), "", "modify qos where name=q set Priority=0"),
        (Setting("v", "qos.PreemptMode", "q"), "", "modify qos where name=q set PreemptMode=cluster"),
        (Setting("v", "qos.GrpTRES", "q:gres/gpu:h100"), "2", "modify qos where name=q set GrpTRES=gres/gpu:h100=2"),
        (Setting("v", "qos.MaxTRESPerUser", "q:mem"), "", "modify qos where name=q set MaxTRESPerUser=mem=-1"),
        (Setting("v", "qos.Preempt", "q:p"), "there", "modify qos where name=q set Preempt+=p"),
        (Setting("v", "qos.Preempt", "q:p"), "", "modify qos where name=q set Preempt-=p"),
        (Setting("v", "QosLevel", "q"), "there", "modify account where name=v cluster=c set QosLevel+=q"),
        (Setting("v", "QosLevel", "q"), "", "modify account where name=v cluster=c set QosLevel-=q"),
        (Setting("v", "DefaultQOS"), "", "modify account where name=v cluster=c set DefaultQOS=-1"),
        (
            Setting("v", "account"),
            "there",
            "add account v cluster=c parent=root description=v (hpcjobs) organization=v",
        ),
    ],
)
def test_an_order_is_one_command(setting, value, said):
    assert " ".join(order_words(LedgerOrder(setting, value), "c")) == f"sacctmgr -i {said}"


@pytest.mark.parametrize("setting", [Setting("v", "account"), Setting("v", "qos", "q")])
def test_an_account_or_qos_is_never_deleted(setting):
    with pytest.raises(ValueError, match="not deleted"):
        order_words(LedgerOrder(setting, ""), "c")


def test_what_is_so_already_is_done_and_all_else_is_refused():
    judge(0, b"", "")
    judge(1, b" Already existing account tst on cluster c\n", "")
    with pytest.raises(Refused, match="privilege"):
        judge(1, b"", "sacctmgr: error: Your user doesn't have privilege to perform this action\n")
    with pytest.raises(HpcjobsError):
        judge(1, b" Problem talking to the database: Connection refused\n", "")
