"""The rules of who sees and does what, for every kind of caller and job."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from hpcjobs.errors import NotAllowed, ScopeMissing
from hpcjobs.identity import policy
from hpcjobs.identity.policy import EVERY_SCOPE, Identity, Role, Scope, scopes_of
from hpcjobs.store import repository
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import columns_of, job_of
from hpcjobs.store.store import Store, new_id
from hpcjobs.store.tables import JOBS

from .builders import job

USERS = st.sampled_from(["alice", "bob", "carol", "hpcjobs", "", "root"])
CLUSTERS = st.sampled_from(["big", "small"])
ACCOUNTS = st.sampled_from(["vision", "climate", "", "x' OR '1'='1"])
SOME_JOBS = st.tuples(USERS, CLUSTERS, ACCOUNTS)
CALLERS = st.builds(
    Identity,
    user=USERS,
    role=st.sampled_from(Role),
    scopes=st.frozensets(st.sampled_from(Scope)),
    manages=st.frozensets(st.tuples(CLUSTERS, ACCOUNTS), max_size=4),
)


def entitled(who: Identity, owner: str, cluster: str, account: str) -> bool:
    """The rule in other words than the policy's: a reason for every job that is seen."""
    reasons = [who.user == owner, who.role == Role.OPERATOR, who.role == Role.ADMIN]
    reasons += [cluster == there and account == theirs for there, theirs in who.manages]
    return any(reasons)


@given(CALLERS, SOME_JOBS)
def test_nobody_who_is_not_entitled_sees_or_acts(who, which):
    assert policy.visibility(who).covers(*which) == entitled(who, *which)
    assert (policy.actor(who, *which, "hpcjobs") is not None) == entitled(who, *which)


@given(CALLERS, SOME_JOBS)
def test_only_operators_act_in_another_name_and_then_in_the_services(who, which):
    actor = policy.actor(who, *which, "the-service")
    assert actor in (None, who.user, "the-service")
    if actor == "the-service":
        assert who.sees_all
        assert who.user != which[0]


@given(CALLERS, SOME_JOBS)
def test_no_role_reads_anothers_files(who, which):
    if who.user == which[0]:
        policy.require_owner(who, which[0], "It")
    else:
        with pytest.raises(NotAllowed, match="by its owner only"):
            policy.require_owner(who, which[0], "It")


@given(CALLERS)
def test_a_scope_never_widens_what_is_seen(who):
    bare = Identity(who.user, who.role, frozenset(), who.manages)
    assert policy.visibility(who) == policy.visibility(bare)


@given(CALLERS, st.lists(st.sampled_from(Scope), max_size=3))
def test_a_scope_is_had_only_where_token_and_role_both_have_it(who, wanted):
    have = who.scopes & scopes_of(who.role)
    if set(wanted) <= have:
        policy.require_scope(who, wanted)
        return
    lacking = next(scope for scope in wanted if scope not in have)
    with pytest.raises(NotAllowed, match=f"the scope {lacking}") as refused:
        policy.require_scope(who, wanted)
    assert isinstance(refused.value, ScopeMissing) == (lacking in scopes_of(who.role))


def test_only_admins_have_the_scope_of_admins():
    assert {role for role in Role if Scope.ADMIN in scopes_of(role)} == {Role.ADMIN}
    assert scopes_of(Role.ADMIN) == EVERY_SCOPE


@pytest.fixture(scope="module")
def every_job(empty_database, tmp_path_factory):
    """A database with a job of every user under every account on every cluster."""
    path = tmp_path_factory.mktemp("policy") / "jobs.db"
    path.write_bytes(empty_database.read_bytes())
    store = Store(f"sqlite:///{path}")
    users, clusters, accounts = (["alice", "bob", "carol", "hpcjobs", "", "root"], ["big", "small"],
                                 ["vision", "climate", "", "x' OR '1'='1"])  # fmt: skip
    with store.engine.begin() as connection:
        for number, (user, cluster, account) in enumerate(itertools.product(users, clusters, accounts)):
            told = job(id=new_id(), cluster=cluster, slurm_job_id=number, user=user, account=account)
            connection.execute(insert(JOBS), columns_of(told))
    yield store
    store.close()


@given(who=CALLERS, user=st.none() | USERS)
def test_the_list_holds_exactly_the_jobs_that_the_rules_let_one_see(every_job, who, user):
    with every_job.engine.connect() as connection:
        everything = [job_of(text) for text in repository.page(connection, JobFilter(user=user), None, 100)]
        wanted = JobFilter(user=user, visible=policy.visibility(who))
        seen = [job_of(text).id for text in repository.page(connection, wanted, None, 100)]
    assert seen == [one.id for one in everything if entitled(who, one.user, one.cluster, one.account)]


@given(who=CALLERS)
def test_pages_of_what_one_may_see_have_no_gap_and_no_double(every_job, who):
    wanted = JobFilter(visible=policy.visibility(who))
    with every_job.engine.connect() as connection:
        whole = [job_of(text).id for text in repository.page(connection, wanted, None, 100)]
        seen: list[str] = []
        while more := repository.page(connection, wanted, seen[-1] if seen else None, 7):
            assert len(more) == min(7, len(whole) - len(seen))
            seen += [job_of(text).id for text in more]
    assert seen == whole
