"""Accounts and limits in sacctmgr's words, as 26.05 and 24.11 print them."""

from __future__ import annotations

import pytest

from hpcjobs.errors import HpcjobsError, Refused, Unavailable
from hpcjobs.model.tenant import LedgerOrder, Setting
from hpcjobs.slurm.accounting import AccountTold, Coordinator
from hpcjobs.slurm.ledger import judge, ledger_of, order_words, read

ASSOCIATIONS = """root|||1||||
root|hpcjobs||1|||0|
tst||root|1|gres/gpu:a100=2,mem=3000M|3|0|10:00:00
tst|alice||1||||10:00:00
low||tst|100|mem=2G|||2-00:00:00
"""
TRES = "cpu|\nmem|\nfs|disk\ngres|gpu\ngres|gpu:a100\n"
ACCOUNTS = (
    AccountTold("tst", coordinators=(Coordinator("dave"),)),
    AccountTold("low", coordinators=(Coordinator("dave", direct=False),)),
    AccountTold("elsewhere", coordinators=(Coordinator("eve"),)),
)


def test_limits_are_read_in_one_unit_each_and_only_coordinators_of_the_account_itself():
    ledger = ledger_of(ASSOCIATIONS, ACCOUNTS, TRES)
    of_tst = {(key.field, key.of): value for key, value in ledger.settings.items() if key.project == "tst"}
    assert of_tst == {
        ("account", ""): "there", ("parent", ""): "root", ("fairshare", ""): "1", ("GrpJobs", ""): "3",
        ("GrpSubmitJobs", ""): "0", ("MaxWall", ""): "600", ("GrpTRES", "gres/gpu:a100"): "2",
        ("GrpTRES", "mem"): "3000", ("member", "alice"): "there", ("manager", "dave"): "there",
    }  # fmt: skip
    assert ledger.settings[Setting("low", "GrpTRES", "mem")] == "2048"
    assert ledger.settings[Setting("low", "MaxWall")] == "2880"
    assert Setting("low", "manager", "dave") not in ledger.settings
    assert Setting("elsewhere", "manager", "eve") not in ledger.settings
    assert ledger.tres == {"cpu", "mem", "fs/disk", "gres/gpu", "gres/gpu:a100"}


def test_what_is_no_listing_is_not_believed():
    with pytest.raises(Unavailable, match="cannot read"):
        read(b"sacctmgr: hello|x\n", (), b"")
    with pytest.raises(Unavailable, match="cannot read"):
        read(b"a||root|1|mem=lots|||\n", (), b"")


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
        (
            Setting("v", "account"),
            "there",
            "add account v cluster=c parent=root description=v (hpcjobs) organization=v",
        ),
    ],
)
def test_an_order_is_one_command(setting, value, said):
    assert " ".join(order_words(LedgerOrder(setting, value), "c")) == f"sacctmgr -i {said}"


def test_an_account_is_never_deleted():
    with pytest.raises(ValueError, match="history"):
        order_words(LedgerOrder(Setting("v", "account"), ""), "c")


def test_what_is_so_already_is_done_and_all_else_is_refused():
    judge(0, b"", "")
    judge(1, b" Already existing account tst on cluster c\n", "")
    with pytest.raises(Refused, match="privilege"):
        judge(1, b"", "sacctmgr: error: Your user doesn't have privilege to perform this action\n")
    with pytest.raises(HpcjobsError):
        judge(1, b" Problem talking to the database: Connection refused\n", "")
