"""What requests and answers look like: the examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hpcjobs.model.attempt import Attempt, AttemptState
from hpcjobs.model.cluster import Node
from hpcjobs.model.credential import RegistryCredential
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.file import FileChecksum, FileEntry
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.order import Changes, Estimate
from hpcjobs.model.webhook import Delivery, Webhook, WebhookFilter, WebhookState
from hpcjobs.model.why import Why

ID: Final = "01913b5c8d7e7a3f9c0d1e2f3a4b5c6d"
ATTEMPT: Final = "01913b5c8d807b21a1b2c3d4e5f60718"
AT: Final = 1_796_000_000.25
SECOND: Final = int(AT)
JOB: Final = Job(
    id=ID,
    cluster="alpha",
    slurm_job_id=4711,
    attempt=ATTEMPT,
    user="alice",
    state=State.RUNNING,
    raw_state="RUNNING",
    name="train",
    account="vision",
    partition="gpu",
    qos="normal",
    nodes=2,
    node_list="c[1-2]",
    ntasks=16,
    cpus=128,
    gpus={"a100": 16},
    mem_bytes=549_755_813_888,
    wall_s=86_400,
    submit_time=SECOND,
    eligible_time=SECOND,
    start_time=SECOND + 40,
    end_time=SECOND + 86_440,
    priority=10_250,
    workdir="/home/alice",
    stdout="/home/alice/slurm-4711.out",
    stderr="/home/alice/slurm-4711.out",
    created_at=AT,
    changed_at=AT + 40,
)
WAITING: Final = msgspec.structs.replace(
    JOB,
    state=State.PENDING,
    raw_state="PENDING",
    reason="Resources",
    node_list="",
    start_time=0,
    end_time=0,
    changed_at=AT,
)
EVENT: Final = Event(
    seq=81_442,
    at=AT + 3_600,
    kind=EventKind.JOB_STATE,
    cluster="alpha",
    job_id=ID,
    user="alice",
    account="vision",
    data={"state": State.FINISHED.value, "fate": Fate.COMPLETED.value, "exit_code": 0},
)
NODE: Final = Node(
    name="c1",
    raw_state="MIXED",
    usable=True,
    cpus=128,
    cpus_alloc=64,
    mem_bytes=1_099_511_627_776,
    mem_alloc_bytes=274_877_906_944,
    gpus={"a100": 8},
    gpus_alloc={"a100": 8},
    partitions=("gpu",),
    features=("nvlink",),
)
FILE: Final = FileEntry(
    name="model.pt",
    quoted_path="/home/alice/model.pt",
    type="file",
    size_bytes=1_048_576,
    mode="0644",
    owner="alice",
    group="users",
    mtime=AT,
    target=None,
    etag='"5f2-100000-1797c1b2"',
)
SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
WEBHOOK: Final = Webhook(
    id="01913b5cf00d7c11b2c3d4e5f6071829",
    user="alice",
    url="https://ci.example.org/hooks/slurm",
    filters=WebhookFilter(kinds=(EventKind.JOB_STATE,), states=(State.FINISHED,)),
    state=WebhookState.ACTIVE,
    cursor=EVENT.seq,
    created_at=AT,
    changed_at=AT,
)
CREDENTIAL: Final = RegistryCredential("lab", "ghcr.io", "alice-at-lab", created_at=AT, used_at=AT + 3_600)
DELIVERY: Final = Delivery(
    message_id=f"evt_{WEBHOOK.id}_{EVENT.seq}",
    seq=EVENT.seq,
    at=AT + 3_600,
    attempt=1,
    delivered=True,
    status=204,
    detail="",
    took_s=0.031,
)
WHY: Final = Why(
    reason="Resources",
    waits_for="It waits for 16 GPUs of type a100 on 2 nodes; 8 are free.",
    would_help=("Ask for 1 node: 8 GPUs are free now.",),
    start_estimate=SECOND + 1_800,
    ahead=0,
)
SENT: Final = Attempt(id=ATTEMPT, number=1, state=AttemptState.SENT, created_at=AT, changed_at=AT + 0.02)
REFUSAL: Final = {
    "field": "resources.gpus_per_node",
    "detail": "No node of partition gpu has 16 GPUs; the largest has 8.",
    "code": "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE",
}
PROBLEM: Final = {
    "type": "urn:hpcjobs:problem:refused",
    "title": "The request was refused",
    "status": 422,
    "detail": REFUSAL["detail"],
    "instance": "/v1/jobs",
    "code": "refused",
    "kept": f"Job {ID} is kept as refused.",
    "errors": [REFUSAL],
}
SUBMIT: Final = {
    "script": "#!/bin/bash\nsrun python train.py\n",
    "name": "train",
    "account": "vision",
    "partition": "gpu",
    "resources": {"nodes": 2, "ntasks_per_node": 8, "gpus_per_node": "a100:8", "wall_s": 86_400},
    "environment": {"NCCL_DEBUG": "WARN"},
}
DETAIL: Final = {
    "job": WAITING,
    "why": WHY,
    "spec": None,
    "steps": [],
    "steps_note": "",
    "attempts": [SENT],
    "events": [],
    "observed_at": AT + 41,
}
PAGE: Final = {"next_cursor": ID, "observed_at": {"alpha": AT + 41}, "stale": {}}
PART: Final = {"id": ID, "state": "RUNNING", "name": "train"}
ESTIMATE: Final = Estimate(SECOND + 1_800, "c[1-2]", "gpu", 128)
UPLOAD: Final = {
    "id": "eyJ1c2VyIjoiYWxpY2UifQ",
    "offset": 65_536,
    "size_bytes": 1_048_576,
    "complete": False,
    "file": None,
}

EXAMPLES: Final[dict[str, tuple[Any, ...]]] = {
    "ActionReport": ({"results": [{"job": ID, "done": True}], "done": 1, "failed": 0},),
    "ActionRequest": (
        {"verb": "cancel", "jobs": ["4711", "4712_[1-5]"]},
        {"verb": "hold", "filter": {"state": ["PENDING"], "account": "vision"}},
    ),
    "Attempt": (SENT,),
    "Changes": (Changes(wall_s=43_200, partition="gpu"),),
    "ClusterSummary": ({"name": "alpha", "backend": "pyslurm", "up": True, "observed_at": AT, "trouble": ""},),
    "Delivery": (DELIVERY,),
    "Event": (EVENT,),
    "EventPage": ({"items": [EVENT], "next_after": EVENT.seq, "more": False, "gap": None},),
    "FileChecksum": (FileChecksum(SHA256, FILE.size_bytes, FILE.etag),),
    "FileEntry": (FILE,),
    "FilePage": ({"file": FILE, "items": [], "next_cursor": None},),
    "Job": (JOB,),
    "JobDetail": (DETAIL,),
    "JobPage": ({"items": [JOB], **PAGE},),
    "JobPart": (PART,),
    "JobPartPage": ({"items": [PART], **PAGE},),
    "Node": (NODE,),
    "NodeList": ({"items": [NODE], "observed_at": AT},),
    "Problem": (PROBLEM,),
    "Refusal": (REFUSAL,),
    "RegistryCredential": (CREDENTIAL,),
    "RequeueRequest": ({"hold": True},),
    "SignalRequest": ({"signal": "USR1", "scope": "batch"},),
    "SubmitRequest": (SUBMIT,),
    "UploadStatus": (UPLOAD,),
    "Verdict": (
        {"valid": True, "errors": [], "estimate": ESTIMATE, "note": ""},
        {"valid": False, "errors": [REFUSAL], "estimate": None, "note": ""},
    ),
    "Webhook": (WEBHOOK,),
    "WebhookChange": ({"state": "PAUSED"},),
    "WebhookMade": ({"webhook": WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},),
    "WebhookPage": ({"items": [WEBHOOK], "next_cursor": None},),
    "WebhookRequest": ({"url": WEBHOOK.url, "filters": {"kinds": ["job.state"], "states": ["FINISHED"]}},),
}
"""By the name of the struct that they are of: this module knows no routes. A test holds them to the schemas."""
