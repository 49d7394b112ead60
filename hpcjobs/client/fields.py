# Made by scripts/unasync of hpcjobs/model/spec.py and order.py; change that and run it. Alike on purpose.
"""What can be given by name: the fields of the model's structs, as types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from hpcjobs.model.container import Container, Mount, Mpi, Pull, RuntimeAsked, Scope
from hpcjobs.model.hints import Hints
from hpcjobs.model.spec import Component, Exclusive, Gpus, Resources


class HintsFields(TypedDict, total=False):
    """Fields of Hints."""

    gang: str
    gang_size: int
    nodes_min: int
    nodes_max: int
    datasets: Sequence[str]
    preemptible: bool
    pinned: bool
    urgent: bool
    recover: bool
    checkpoints: str
    hang_s: float


class MountFields(TypedDict, total=False):
    """Fields of Mount."""

    source: str
    target: str
    read_only: bool
    optional: bool


class ContainerFields(TypedDict, total=False):
    """Fields of Container."""

    image: str
    runtime: RuntimeAsked
    scope: Scope
    pull: Pull
    mounts: Sequence[Mount | MountFields]
    workdir: str
    env: Mapping[str, str]
    home: bool
    writable: bool
    root: bool
    entrypoint: bool
    devices: bool
    mpi: Mpi | None
    credential: str
    name: str
    save: str
    extra_args: Sequence[str]


class ResourcesFields(TypedDict, total=False):
    """Fields of Resources."""

    nodes: int | None
    nodes_max: int | None
    node_counts: str | None
    ntasks: int | None
    ntasks_per_node: int | None
    ntasks_per_socket: int | None
    ntasks_per_core: int | None
    ntasks_per_gpu: int | None
    cpus_per_task: int | None
    cpus_per_gpu: int | None
    mincpus: int | None
    gpus: int | Gpus | None
    gpus_per_node: int | Gpus | None
    gpus_per_socket: int | Gpus | None
    gpus_per_task: int | Gpus | None
    gres: str | None
    gres_flags: str | None
    tres_per_task: str | None
    tres_bind: str | None
    gpu_bind: str | None
    gpu_freq: str | None
    mem_per_node_bytes: int | None
    mem_per_cpu_bytes: int | None
    mem_per_gpu_bytes: int | None
    mem_bind: str | None
    tmp_bytes: int | None
    wall_s: int | None
    time_min_s: int | None
    constraint: str | None
    prefer: str | None
    nodelist: str | None
    exclude: str | None
    contiguous: bool | None
    exclusive: bool | Exclusive | None
    oversubscribe: bool | None
    overcommit: bool | None
    spread_job: bool | None
    use_min_nodes: bool | None
    segment: int | None
    spread_segments: bool | None
    consolidate_segments: bool | None
    switches: int | None
    switches_wait_s: int | None
    sockets_per_node: int | None
    cores_per_socket: int | None
    threads_per_core: int | None
    extra_node_info: str | None
    hint: str | None
    core_spec: int | None
    thread_spec: int | None
    cpu_freq: str | None
    distribution: str | None
    licenses: str | None
    network: str | None
    bb: str | None
    resv_ports: int | None


class ComponentFields(TypedDict, total=False):
    """Fields of Component."""

    resources: Resources | ResourcesFields
    partition: str | None
    mail_type: str | None
    mail_user: str | None


class SpecFields(TypedDict, total=False):
    """Fields of JobSpec."""

    script: str
    args: Sequence[str]
    script_name: str | None
    read_directives: bool | None
    resources: Resources | ResourcesFields
    het: Sequence[Component | ComponentFields]
    name: str | None
    account: str | None
    partition: str | None
    qos: str | None
    reservation: str | None
    wckey: str | None
    array: str | None
    dependency: str | None
    kill_on_invalid_dep: bool | None
    begin: str | None
    deadline: str | None
    delay_boot_s: int | None
    hold: bool | None
    priority: int | Literal["TOP"] | None
    nice: int | None
    requeue: bool | Literal["expedite"] | None
    no_kill: bool | None
    oom_kill_step: bool | None
    signal: str | None
    reboot: bool | None
    wait_all_nodes: bool | None
    stepmgr: bool | None
    mem_update: str | None
    comment: str | None
    extra: str | None
    mail_type: str | None
    mail_user: str | None
    workdir: str | None
    stdout: str | None
    stderr: str | None
    stdin: str | None
    open_mode: Literal["append", "truncate"] | None
    environment: Mapping[str, str]
    get_user_env: bool | None
    export: str | None
    propagate: str | None
    oci_bundle: str | None
    container_id: str | None
    container_type: str | None
    profile: str | None
    acctg_freq: str | None
    batch: str | None
    cluster_constraint: str | None
    context: str | None
    mcs_label: str | None
    parallel: str | None
    hints: Hints | HintsFields
    container: Container | ContainerFields | None


class ChangesFields(TypedDict, total=False):
    """Fields of Changes."""

    name: str | None
    account: str | None
    partition: str | None
    qos: str | None
    reservation: str | None
    dependency: str | None
    comment: str | None
    constraint: str | None
    nodelist: str | None
    exclude: str | None
    nodes: int | None
    nodes_max: int | None
    wall_s: int | None
    time_min_s: int | None
    begin: int | None
    deadline: int | None
    nice: int | None
    priority: int | None
    requeue: bool | None
    array_max_running: int | None
