"""``/metrics``: who may read it, and whether its numbers are so."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpcjobs.errors import SlurmUnavailable
from hpcjobs.settings import MetricsSettings
from tests.api.bench import UnrulySlurm, on_bench, problem_of, settings_of


async def scraped(bench) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    answer = await bench.call("GET", "/metrics", "ops")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.parametrize(("user", "status"), [("alice", 403), ("ops", 200), ("boss", 200)])
async def test_numbers_of_everybodys_jobs_are_for_operators_and_admins(bench, user, status):
    answer = await bench.get("/metrics", user)
    assert answer.status_code == status
    assert status == 200 or problem_of(answer)["code"] == "not-allowed"


async def test_a_token_for_something_else_does_not_open_the_numbers(bench):
    assert (await bench.call("GET", "/metrics", "ops", scopes=["jobs:read"])).status_code == 403


async def test_the_settings_can_open_the_numbers_and_nothing_else(place):
    settings = settings_of(place, metrics=MetricsSettings(open=True))
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        assert (await bench.http.get("/metrics")).status_code == 200
        assert (await bench.http.get("/v1/jobs")).status_code == 401
        assert (await bench.http.get("/v1/audit")).status_code == 401


async def test_requests_are_counted_by_route_and_never_by_path_or_user(bench):
    await bench.submitted()
    await bench.get("/v1/jobs/1")
    await bench.get("/v1/jobs/99")
    await bench.http.get("/secret-path")
    await bench.call("BREW", "/v1/jobs")
    found = await scraped(bench)
    assert found["hpcjobs_requests_total", "GET", "/v1/jobs/{job_id}", "404"] == 1
    assert found["hpcjobs_requests_total", "GET", "-", "404"] == 1
    assert found["hpcjobs_request_duration_seconds_count", "GET", "/v1/jobs/{job_id}"] >= 2
    assert found["hpcjobs_requests_total", "other", "-", "405"] == 1
    words = {value for _, *values in found for value in values}
    assert not {word for word in words if any(part in word for part in ("alice", "secret", "BREW", "99"))}


async def test_submissions_are_counted_by_what_came_of_them(bench):
    await bench.post("key")
    await bench.post("key")
    await bench.post(partition="nowhere")
    bench.slurm.mishaps = [SlurmUnavailable("away")]
    await bench.post()
    found = await scraped(bench)
    outcomes = {labels[0]: value for (name, *labels), value in found.items() if name == "hpcjobs_submissions_total"}
    assert outcomes == {"submitted": 1, "replayed": 1, "refused": 1, "waiting": 1}
    assert found["hpcjobs_submissions_waiting", "big"] == 1
    assert found["hpcjobs_submissions_unknown", "big"] == 0


async def test_clusters_are_shown_as_the_last_listing_had_them(bench):
    await bench.submitted()
    await bench.submitted()
    before = await scraped(bench)
    bench.slurm.down = True
    await bench.tick()
    after = await scraped(bench)
    assert sum(value for key, value in before.items() if key[0] == "hpcjobs_jobs") == 2
    assert (before["hpcjobs_nodes", "big", "yes"], before["hpcjobs_nodes", "big", "no"]) == (2, 0)
    assert before["hpcjobs_listings_total", "big", "made"] == after["hpcjobs_listings_total", "big", "made"] == 3
    assert (before["hpcjobs_cluster_up", "big"], after["hpcjobs_cluster_up", "big"]) == (1, 0)
    assert after["hpcjobs_listings_total", "big", "failed"] == 1
    assert before["hpcjobs_listings_seconds_total", "big"] > 0
    assert 0 <= before["hpcjobs_listing_age_seconds", "big"] < 60


async def test_events_webhooks_and_the_database_are_counted(bench):
    await bench.submitted()
    found = await scraped(bench)
    assert found["hpcjobs_events_total",] >= 1
    assert found["hpcjobs_webhooks", "active"] == found["hpcjobs_webhooks", "failing"] == 0
    assert found["hpcjobs_letters_waiting",] == 0
    assert found["hpcjobs_database_writes_total",] >= found["hpcjobs_database_commits_total",] > 0
    assert found["hpcjobs_database_write_seconds_total",] > 0
    assert found["hpcjobs_streams",] == found["hpcjobs_agents",] == 0
    assert found["process_resident_memory_bytes",] > 1e6


async def test_two_services_in_one_process_count_for_themselves(bench, tmp_path, empty_database):
    await bench.submitted()
    async with on_bench(settings_of(tmp_path), {"big": UnrulySlurm()}) as other:
        found = await scraped(other)
    assert not [key for key in found if key[0] == "hpcjobs_submissions_total"]
