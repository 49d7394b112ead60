"""What a job is as it is asked for: everything that Slurm 26.05 takes at submission (sbatch(1), OPTIONS)."""

from __future__ import annotations

from typing import Literal

import msgspec

from hpcjobs.model.container import Container, Launch
from hpcjobs.model.gres import gpus_of_gres, parse_gpus
from hpcjobs.model.hints import NO_HINTS, Hints

Gpus = str
"""GPUs in sbatch's form: ``8`` or ``a100:4`` or ``a100:4,h100:4``."""

Exclusive = Literal["user", "mcs", "topo"]
"""With whom nodes are not shared, short of nobody."""


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job, or one component of a heterogeneous job, needs. None was not asked for; Slurm's default holds.

    Attributes:
        nodes: Least number of nodes; same as the minimum of --nodes of sbatch.
        nodes_max: Most nodes; same as the maximum of --nodes. None: as many as ``nodes``.
        node_counts: Every number of nodes that will do, as ``1,3`` or ``2-8:2``; same as --nodes with a list.
        ntasks: Same as --ntasks.
        ntasks_per_node: Same as --ntasks-per-node.
        ntasks_per_socket: Same as --ntasks-per-socket.
        ntasks_per_core: Same as --ntasks-per-core.
        ntasks_per_gpu: Same as --ntasks-per-gpu.
        cpus_per_task: Same as --cpus-per-task.
        cpus_per_gpu: Same as --cpus-per-gpu.
        mincpus: CPUs that each node must have; same as --mincpus.
        gpus: GPUs of the whole job; same as --gpus.
        gpus_per_node: Same as --gpus-per-node.
        gpus_per_socket: Same as --gpus-per-socket.
        gpus_per_task: Same as --gpus-per-task.
        gres: Generic resources of each node, as ``gpu:a100:2,shard:4``; same as --gres.
        gres_flags: Same as --gres-flags.
        tres_per_task: What each task needs, as ``cpu=2,gres/gpu:a100=1``; same as --tres-per-task.
        tres_bind: How tasks are bound to it, as ``gres/gpu:closest``; same as --tres-bind.
        gpu_bind: How tasks are bound to GPUs; same as --gpu-bind.
        gpu_freq: Same as --gpu-freq.
        mem_per_node_bytes: Memory per node in bytes, rounded up to MiB; 0 is all of it; same as --mem.
        mem_per_cpu_bytes: Memory per CPU in bytes, rounded up to MiB; same as --mem-per-cpu.
        mem_per_gpu_bytes: Memory per GPU in bytes, rounded up to MiB; same as --mem-per-gpu.
        mem_bind: How tasks are bound to memory; same as --mem-bind.
        tmp_bytes: Temporary disk of each node in bytes, rounded up to MiB; same as --tmp.
        wall_s: Time limit in seconds, rounded up to minutes; same as --time.
        time_min_s: Least time limit in seconds, rounded up to minutes; same as --time-min.
        constraint: Node features; same as --constraint.
        prefer: Node features wanted but not needed; same as --prefer.
        nodelist: Nodes that must be among those given, as a hostlist; same as --nodelist.
        exclude: Nodes not to use, as a hostlist; same as --exclude.
        contiguous: Neighbouring nodes; same as --contiguous.
        exclusive: No other job on the nodes (true), none of another user or MCS label, none in the same block or
            switch (topo); same as --exclusive.
        oversubscribe: Other jobs may have the same CPUs; same as --oversubscribe.
        overcommit: One CPU per node, however many tasks; same as --overcommit.
        spread_job: Over as many nodes as possible; same as --spread-job.
        use_min_nodes: The fewest of a range of nodes; same as --use-min-nodes.
        segment: Nodes that must be in one block of a block topology; same as --segment.
        spread_segments: Each segment in another block; same as --spread-segments.
        consolidate_segments: Segments in as few blocks as possible; same as --consolidate-segments.
        switches: Most leaf switches; same as the count of --switches.
        switches_wait_s: How long to wait for so few, in seconds; same as the time of --switches.
        sockets_per_node: Sockets that a node must have; same as --sockets-per-node.
        cores_per_socket: Cores that a socket must have; same as --cores-per-socket.
        threads_per_core: Threads of a core to use; same as --threads-per-core.
        extra_node_info: ``sockets[:cores[:threads]]`` in one, one task for each; same as --extra-node-info.
        hint: ``compute_bound``, ``memory_bound``, ``multithread`` or ``nomultithread``; same as --hint.
        core_spec: Cores left to the system; same as --core-spec.
        thread_spec: Threads left to the system; same as --thread-spec.
        cpu_freq: Same as --cpu-freq.
        distribution: How tasks are laid out; same as --distribution.
        licenses: Same as --licenses, and --resources of 25.11 and later.
        network: Same as --network.
        bb: Burst buffer; same as --bb.
        resv_ports: Ports reserved for MPI; same as --resv-ports.
    """

    nodes: int | None = None
    nodes_max: int | None = None
    node_counts: str | None = None
    ntasks: int | None = None
    ntasks_per_node: int | None = None
    ntasks_per_socket: int | None = None
    ntasks_per_core: int | None = None
    ntasks_per_gpu: int | None = None
    cpus_per_task: int | None = None
    cpus_per_gpu: int | None = None
    mincpus: int | None = None
    gpus: int | Gpus | None = None
    gpus_per_node: int | Gpus | None = None
    gpus_per_socket: int | Gpus | None = None
    gpus_per_task: int | Gpus | None = None
    gres: str | None = None
    gres_flags: str | None = None
    tres_per_task: str | None = None
    tres_bind: str | None = None
    gpu_bind: str | None = None
    gpu_freq: str | None = None
    mem_per_node_bytes: int | None = None
    mem_per_cpu_bytes: int | None = None
    mem_per_gpu_bytes: int | None = None
    mem_bind: str | None = None
    tmp_bytes: int | None = None
    wall_s: int | None = None
    time_min_s: int | None = None
    constraint: str | None = None
    prefer: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    contiguous: bool | None = None
    exclusive: bool | Exclusive | None = None
    oversubscribe: bool | None = None
    overcommit: bool | None = None
    spread_job: bool | None = None
    use_min_nodes: bool | None = None
    segment: int | None = None
    spread_segments: bool | None = None
    consolidate_segments: bool | None = None
    switches: int | None = None
    switches_wait_s: int | None = None
    sockets_per_node: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    extra_node_info: str | None = None
    hint: str | None = None
    core_spec: int | None = None
    thread_spec: int | None = None
    cpu_freq: str | None = None
    distribution: str | None = None
    licenses: str | None = None
    network: str | None = None
    bb: str | None = None
    resv_ports: int | None = None

    @property
    def gpus_each_node(self) -> dict[str, int]:
        """GPUs that each node must give, by type, whichever option asks for them. Raises ValueError."""
        if self.gpus_per_node is not None:
            return parse_gpus(str(self.gpus_per_node))
        return gpus_of_gres(self.gres or "")


CARRIED_OVER = ("mem_per_node_bytes", "wall_s", "time_min_s", "prefer", "exclude")
"""The resources that sbatch does not forget at ``hetjob``: a component that is silent on them has those of the one
before it."""


class Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A component of a heterogeneous job after the first: what is its own.

    Attributes:
        resources: What it needs. Memory per node, time limits, preferred features and excluded nodes are those
            of the component before it where they are left open.
        partition: Same as --partition.
        mail_type: Same as --mail-type.
        mail_user: Same as --mail-user.
    """

    resources: Resources = Resources()
    partition: str | None = None
    mail_type: str | None = None
    mail_user: str | None = None


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job as asked for. ``#SBATCH`` lines of the script fill in what is None here.

    Attributes:
        script: The batch script itself, not a path; its first line names the interpreter.
        args: Arguments of the script.
        script_name: File name of the script: the job's name where nothing else names it.
        read_directives: False: the ``#SBATCH`` lines of the script are comments, because the client has read them.
        resources: What the job, or the first component of a heterogeneous job, needs.
        het: The components after the first of a heterogeneous job; same as ``:`` and ``#SBATCH hetjob`` of sbatch.
        name: Same as --job-name of sbatch. None: ``script_name``, or ``hpcjobs``.
        account: Same as --account. None: the user's default account.
        partition: One or several, comma-separated; same as --partition.
        qos: Same as --qos.
        reservation: Same as --reservation.
        wckey: Same as --wckey.
        array: Task numbers of an array, as ``0-15%4``; same as --array.
        dependency: As ``afterok:123``; same as --dependency.
        kill_on_invalid_dep: Same as --kill-on-invalid-dep.
        begin: Not before this time, as ``now+1hour`` or ``2026-12-01T08:00``; same as --begin. Relative times count
            from the submission.
        deadline: Ended or removed by this time; same as --deadline.
        delay_boot_s: How long to wait for nodes that need no reboot, in seconds; same as --delay-boot.
        hold: Submit held; same as --hold.
        priority: A number, or ``TOP``; operators only; same as --priority.
        nice: How much to step back (forward, for operators: negative); same as --nice.
        requeue: Same as --requeue (true or ``expedite``) and --no-requeue (false).
        no_kill: Goes on without a node that fails; same as --no-kill.
        oom_kill_step: Ends the whole step where one of its tasks runs out of memory; same as --oom-kill-step.
        signal: Sent before the time limit, as ``B:USR1@60``; same as --signal.
        reboot: Reboot the nodes first; same as --reboot.
        wait_all_nodes: Start when all nodes have booted; same as --wait-all-nodes.
        stepmgr: A step manager of its own; same as --stepmgr.
        mem_update: Memory set free while it runs, as ``margin in percent@delay in minutes``; same as --mem-update.
        comment: Same as --comment.
        extra: Same as --extra.
        mail_type: As ``END,FAIL``; same as --mail-type.
        mail_user: Same as --mail-user.
        workdir: Absolute path; same as --chdir. None: the user's home.
        stdout: File pattern; same as --output. None: ``slurm-%j.out`` in the working directory.
        stderr: File pattern; same as --error. None: together with stdout.
        stdin: File pattern; same as --input. None: /dev/null.
        open_mode: Whether output files are continued or begun anew; same as --open-mode.
        environment: Variables set for the job on top of the user's login environment.
        get_user_env: False: ``environment`` is all there is, there is no login environment below it; same as
            --get-user-env where true.
        export: ``ALL``, ``NONE``, ``NIL`` (not even the login environment) or ``NAME=value,...``; same as --export.
        propagate: Which limits of the calling shell the job gets, as ``NONE`` or ``STACK,CORE``; same as --propagate.
        oci_bundle: Path of an OCI bundle that the whole job runs in; same as --container.
        container_id: Of the bundle; same as --container-id.
        container_type: Same as --container-type.
        profile: Same as --profile.
        acctg_freq: Seconds between samples, as ``task=30``; same as --acctg-freq.
        batch: Features of the node that runs the script; same as --batch.
        cluster_constraint: Features of a federated cluster; same as --cluster-constraint.
        context: SELinux context; same as --context.
        mcs_label: Same as --mcs-label.
        parallel: How a training is parallel, as ``tp=8,pp=4,dp=32``, with ``ep=`` for experts: a placement plugin
            chooses its nodes and orders its ranks by it. sbatch has nothing like it.
        hints: What it tells the policies that steer Slurm. sbatch has nothing like it.
        container: The container that it runs in, by whatever runtime the cluster has. sbatch has nothing like it.
        launch: How a program is started in the container: worked out at each admission, whatever a request says.
    """

    script: str
    args: tuple[str, ...] = ()
    script_name: str | None = None
    read_directives: bool | None = None
    resources: Resources = Resources()
    het: tuple[Component, ...] = ()
    name: str | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    reservation: str | None = None
    wckey: str | None = None
    array: str | None = None
    dependency: str | None = None
    kill_on_invalid_dep: bool | None = None
    begin: str | None = None
    deadline: str | None = None
    delay_boot_s: int | None = None
    hold: bool | None = None
    priority: int | Literal["TOP"] | None = None
    nice: int | None = None
    requeue: bool | Literal["expedite"] | None = None
    no_kill: bool | None = None
    oom_kill_step: bool | None = None
    signal: str | None = None
    reboot: bool | None = None
    wait_all_nodes: bool | None = None
    stepmgr: bool | None = None
    mem_update: str | None = None
    comment: str | None = None
    extra: str | None = None
    mail_type: str | None = None
    mail_user: str | None = None
    workdir: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    stdin: str | None = None
    open_mode: Literal["append", "truncate"] | None = None
    environment: dict[str, str] = {}
    get_user_env: bool | None = None
    export: str | None = None
    propagate: str | None = None
    oci_bundle: str | None = None
    container_id: str | None = None
    container_type: str | None = None
    profile: str | None = None
    acctg_freq: str | None = None
    batch: str | None = None
    cluster_constraint: str | None = None
    context: str | None = None
    mcs_label: str | None = None
    parallel: str | None = None
    hints: Hints = NO_HINTS
    container: Container | None = None
    launch: Launch | None = None

    @property
    def all_resources(self) -> tuple[Resources, ...]:
        """What each component needs, the first first."""
        return (self.resources, *(component.resources for component in self.het))
