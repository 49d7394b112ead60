# The task runner. Everything a task needs it installs and starts itself (README.md).
.DEFAULT_GOAL := help
# Modules are compiled once, also where the environment says not to: each process of the tests would do it again.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
.PHONY: help demo test fast lint format bench kills up clean down status lock

help:           ## what there is
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: up        ## start the cluster and the service, run a real 4-node job as alice
	@scripts/demo

test:           ## linters, unit tests, tests on the dockerized clusters: two of 26.05, one of 24.11
	@scripts/venv
	@scripts/engine
	@scripts/images all
	@scripts/cluster up --profile slurm2411
	@scripts/cluster --second up
	@scripts/lint
	@HPCJOBS_TEST_SECOND=hpcjobs-second .venv/bin/pytest -n 4 --dist loadgroup --durations=40 --cov --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

fast:           ## in a minute: the linters, and of the tests without docker all but the thorough ones
	@scripts/venv
	@scripts/lint
	@HPCJOBS_TESTS=fast .venv/bin/pytest -n 2 -m 'not thorough' --ignore tests/slurm $(ARGS)

lint:           ## ruff, mypy --strict, import directions, shellcheck
	@scripts/venv
	@scripts/lint

format:         ## let ruff set the lines
	@.venv/bin/ruff format hpcjobs plugins tests
	@.venv/bin/ruff check --fix hpcjobs plugins tests

bench:          ## NAME=submit|list|poll|memory|scale|cli|against|ddp|recovery|images on the dockerized cluster, NAME=placement|topology|policy|utilisation|report|ingest|ettr without, NAME=gang|agreement on one of its own
	@scripts/venv
	@case "$(NAME)" in placement|topology|policy|utilisation|report|ingest|ettr) ;; gang|agreement) scripts/engine && scripts/images 26.05 ;; *) scripts/engine && scripts/images 26.05 && scripts/cluster up ;; esac
	@.venv/bin/python -m tests.bench $(NAME)

kills:          ## every part of both clusters is killed 200 times in a stream of submissions (a tenth of an hour)
	@scripts/venv
	@scripts/engine
	@scripts/images all
	@scripts/cluster up --profile slurm2411
	@HPCJOBS_ALL_KILLS=1 .venv/bin/pytest -n 2 --dist loadgroup --log-cli-level=WARNING tests/slurm/test_kills.py

up:             ## the cluster and the service, usable
	@scripts/venv
	@scripts/engine
	@scripts/images 26.05
	@scripts/cluster up

clean:          ## forget the clusters and all that they hold, keep the images
	@scripts/venv
	@scripts/engine
	@scripts/cluster --second down
	@scripts/cluster down

down:           ## remove all of it: containers, volumes, images; an engine that we started
	@scripts/cluster --second down
	@scripts/cluster down --images --engine

status:         ## what runs
	@scripts/cluster status

lock:           ## resolve the dependencies again into the lock files
	@scripts/lock
