#!/bin/bash
# The members of a gang, each in its component of this heterogeneous job: made by hpcjobs (hpcjobs/gangs/joining.py).
# Each line at the end that begins with "#member" is one: name, directory, stdout, stderr, stdin, open mode, arguments,
# variables and script, each in base64, "-" for nothing. Ends with the worst exit code when all of them have ended.

# What runs on the first node of a component. Takes the component's number; reads its member's line from stdin.
runner=$(cat <<'RUNNER'
group=$1
fields=($(cat))
text() { [ "$1" = - ] || base64 -d <<<"$1"; }

# As a job of its own would find them, and not as a step with one task. Slurm knows its components by the first one's
# number: that stays.
unset SLURM_NTASKS SLURM_NPROCS SLURM_CPUS_PER_TASK SLURM_NTASKS_PER_NODE
for name in $(compgen -e | sed -n 's/_HET_GROUP_[0-9]*$//p' | sort -u); do
  own=${name}_HET_GROUP_$group
  if [ "$name" = SLURM_JOB_ID ]; then
    continue
  elif [ -n "${!own+set}" ]; then
    export "$name=${!own}"
  else
    unset "$name"
  fi
done
SLURM_JOB_NAME=$(text "${fields[0]}")
export SLURM_JOB_NAME SLURM_NNODES=$SLURM_JOB_NUM_NODES SLURM_NODELIST=$SLURM_JOB_NODELIST
unset "${!SLURM_STEP@}" "${!SLURM_SRUN_@}" "${!SLURM_LAUNCH_@}" "${!SLURM_CPU_BIND@}" SLURM_DISTRIBUTION SLURM_MPI_TYPE

while IFS= read -r -d '' pair; do export "$pair"; done < <(text "${fields[7]}")
mapfile -d '' -t arguments < <(text "${fields[6]}")

here=$(mktemp -d "${TMPDIR:-/tmp}/hpcjobs-member.XXXXXX") || exit 1
trap 'rm -rf "$here"' EXIT
trap : HUP INT QUIT USR1 USR2 TERM
# Its own srun means its own component.
printf '#!/bin/bash\n[ "$SLURM_JOB_ID" != %q ] || set -- --het-group=%q "$@"\nexec %q "$@"\n' \
  "$SLURM_JOB_ID" "$group" "$(type -P srun)" >"$here/srun"
text "${fields[8]}" >"$here/script"
chmod 700 "$here/srun" "$here/script"
PATH=$here:$PATH
input=$(text "${fields[4]}")
"$here/script" "${arguments[@]}" <"${input:-/dev/null}"
exit $?
RUNNER
)

text() { [ "$1" = - ] || base64 -d <<<"$1"; }
below() { # below DIRECTORY WORD: the path that a word is
  local path
  path=$(text "$2")
  [[ $path == /* ]] || path=$1/$path
  printf '%s' "$path"
}
forward() { [ ${#pids[@]} = 0 ] || kill -s "$1" "${pids[@]}" 2>/dev/null; }

# Of the first component: each member gets its own back.
for name in $(compgen -e | sed -n 's/_HET_GROUP_[0-9]*$//p' | sort -u); do
  [ "$name" = SLURM_JOB_ID ] || unset "$name"
done

pids=()
names=()
for signal in HUP INT QUIT USR1 USR2 TERM; do
  # shellcheck disable=SC2064 # now
  trap "forward $signal" "$signal"
done
while IFS= read -r line; do
  read -ra fields <<<"$line"
  options=(--het-group="${#pids[@]}" --nodes=1 --ntasks=1 --overlap --mem=0 --mpi=none --cpu-bind=none --export=ALL)
  options+=(--job-name="$(text "${fields[0]}")")
  directory=$(text "${fields[1]}")
  options+=(--chdir="${directory:=$PWD}" --output="$(below "$directory" "${fields[2]}")")
  [ "${fields[3]}" = - ] || options+=(--error="$(below "$directory" "${fields[3]}")")
  [ "${fields[5]}" = - ] || options+=(--open-mode="$(text "${fields[5]}")")
  srun "${options[@]}" bash -c "$runner" hpcjobs-member "${#pids[@]}" <<<"$line" &
  pids+=($!)
  names+=("$(text "${fields[0]}")")
done < <(sed -n 's/^#member //p' "$0")

worst=0
for index in "${!pids[@]}"; do
  wait "${pids[index]}"
  code=$?
  while [ $code -gt 128 ] && kill -0 "${pids[index]}" 2>/dev/null; do # only a signal came
    wait "${pids[index]}"
    code=$?
  done
  id=SLURM_JOB_ID_HET_GROUP_$index
  nodes=SLURM_JOB_NODELIST_HET_GROUP_$index
  printf 'member %s (%s), job %s on %s: exit code %s\n' "$index" "${names[index]}" "${!id}" "${!nodes}" "$code"
  [ "$code" -le "$worst" ] || worst=$code
done
exit "$worst"
