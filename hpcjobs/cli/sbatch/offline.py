"""``sbatch --queue-offline``: without an answer of the service the call is kept, and ends well."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from hpcjobs.cli.outcome import NotDone, Sent
from hpcjobs.cli.sbatch.call import say
from hpcjobs.cli.sbatch.local import Made, complain_of_service, finish, say_again
from hpcjobs.cli.spool.direct import submit_or_keep, told_of_kept
from hpcjobs.profiles import ClientConfig
from hpcjobs.sbatch.reading import Reading, Request


def _settle_cluster(request: Request) -> None:
    """Of several clusters the first, of all the service's default: who may be away cannot be asked for the soonest."""
    named = request.get("cluster", "").partition(",")[0]
    if named == "all":
        del request["cluster"]
    elif named:
        request["cluster"] = named


def act_offline(config: ClientConfig, reading: Reading, made: Made, environment: Mapping[str, str], wrong: int) -> int:
    """Submit, or keep.

    Args:
        config: Where to.
        reading: The call.
        made: The same as it was made.
        environment: The caller's variables.
        wrong: Exit code of what goes wrong.

    Returns:
        The exit code.
    """
    request, client = reading.request, reading.client
    _settle_cluster(request)
    try:
        entry, why = submit_or_keep(config, request, environment)
    except NotDone as error:
        complain_of_service(error, "error: Batch job submission failed")
        return wrong
    except OSError as error:
        say(f"warning: nothing can be kept for later: {error}")
        return say_again(made, config, environment, os.urandom(16).hex(), wrong)
    except ValueError as error:
        say(f"error: {error}")
        return wrong
    if entry.state == "sent":
        sent = Sent(entry.job_id, entry.slurm_job_id, entry.cluster, why[0] if why else "")
        try:
            return finish(config, reading, sent)
        except NotDone as error:
            complain_of_service(error, "error: Batch job submission failed")
            return wrong
    say(*why)
    if "wait" in client:
        say("note: --wait does not wait for what is sent later")
    if "parsable" in client:
        sys.stdout.write(f"{entry.id}\n")
    elif "quiet" in client:
        say(told_of_kept(entry))
    else:
        sys.stdout.write(f"{told_of_kept(entry)}\n")
    return 0
