#!/bin/bash
#SBATCH --job-name=plain --time=10 --requeue --signal=B:USR1@120
# Counts, saves now and then, and goes on where it was; nothing but a shell. Its own job script: sbatch plain.sh
# CHECKPOINTS is the checkpoint folder, STEPS how far it counts, EVERY the steps between checkpoints, PAUSE seconds a step.
[ -S "${HPCJOBS_AGENT_SOCKET:-}" ] || exec hpcjobs run --checkpoints "${CHECKPOINTS:-$PWD/checkpoints}" -- bash "$0" "$@"

save() {
  mkdir -p "$HPCJOBS_CHECKPOINT_DIR/step-$step" &&
    echo "$step $total" >"$HPCJOBS_CHECKPOINT_DIR/step-$step/count" &&
    hpcjobs checkpoint publish "$HPCJOBS_CHECKPOINT_DIR/step-$step" --step "$step" >/dev/null
}
near=
trap 'near=1' USR1 TERM # bash comes to it between commands

step=0 total=0
[ -z "$HPCJOBS_RESUME_FROM" ] || read -r step total <"$HPCJOBS_RESUME_FROM/count"
echo "attempt $HPCJOBS_ATTEMPT begins at step $step"

while [ "$step" -lt "${STEPS:-1000}" ]; do
  sleep "${PAUSE:-0.01}" # the work
  total=$((total + step)) step=$((step + 1))
  echo "step $step" >>"$HPCJOBS_REPORT_FILE"
  if [ $((step % ${EVERY:-100})) = 0 ] || [ -n "$near" ]; then save || exit; fi
  [ -z "$near" ] || exit 0 # saved: the agent makes "requeue me" of it
done
echo "$step steps, total $total"
