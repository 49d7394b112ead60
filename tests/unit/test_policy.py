"""The rules of who sees and does what, for every kind of caller and job."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from hpcjobs.errors import NotAllowed, ScopeMissing
from hpcjobs.identity import policy
from hpcjobs.identity.policy import EVERY_SCOPE, Identity, Role, Scope, scopes_of
from hpcjobs.model.job import JobFacts
from hpcjobs.store import repository
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import set_facts
from hpcjobs.store.store import Store, new_id
from hpcjobs.store.tables import JobRow

USERS = st.sampled_from(["alice", "bob", "carol", "hpcjobs", "", "root"])
CLUSTERS = st.sampled_from(["big", "small"])
ACCOUNTS = st.sampled_from(["vision", "climate", "", "x' OR '1'='1"])
JOBS = st.tuples(USERS, CLUSTERS, ACCOUNTS)
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


@given(CALLERS, JOBS)
def test_nobody_who_is_not_entitled_sees_or_acts(who, job):
    assert policy.may_see(who, *job) == entitled(who, *job)
    assert (policy.actor(who, *job, "hpcjobs") is not None) == entitled(who, *job)


@given(CALLERS, JOBS)
def test_only_operators_act_in_another_name_and_then_in_the_services(who, job):
    actor = policy.actor(who, *job, "the-service")
    assert actor in (None, who.user, "the-service")
    if actor == "the-service":
        assert who.sees_all
        assert who.user != job[0]


@given(CALLERS, JOBS)
def test_no_role_reads_anothers_files(who, job):
    if who.user == job[0]:
        policy.require_owner(who, job[0], "It")
    else:
        with pytest.raises(NotAllowed, match="by its owner only"):
            policy.require_owner(who, job[0], "It")


@given(CALLERS, JOBS)
def test_a_scope_never_widens_what_is_seen(who, job):
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
    with Session(store.engine) as session, session.begin():
        for user, cluster, account in itertools.product(users, clusters, accounts):
            row = JobRow(id=new_id(), cluster=cluster, user=user, state="PENDING", created_at=1.0, facts="")
            set_facts(row, JobFacts(user=user, account=account))
            session.add(row)
    yield store
    store.close()


@given(who=CALLERS, user=st.none() | USERS)
def test_the_list_holds_exactly_the_jobs_that_the_rules_let_one_see(every_job, who, user):
    with Session(every_job.engine) as session:
        everything = repository.page(session, JobFilter(user=user), None, 100)
        seen = repository.page(session, JobFilter(user=user, visible=policy.visibility(who)), None, 100)
    wanted = [job.id for job in everything if entitled(who, job.user, job.cluster, job.account)]
    assert [job.id for job in seen] == wanted


@given(who=CALLERS)
def test_pages_of_what_one_may_see_have_no_gap_and_no_double(every_job, who):
    wanted = JobFilter(visible=policy.visibility(who))
    with Session(every_job.engine) as session:
        whole = [job.id for job in repository.page(session, wanted, None, 100)]
        seen: list[str] = []
        while more := repository.page(session, wanted, seen[-1] if seen else None, 7):
            assert len(more) == min(7, len(whole) - len(seen))
            seen += [job.id for job in more]
    assert seen == whole
