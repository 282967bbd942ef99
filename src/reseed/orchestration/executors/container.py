"""What the engine is told of a job's container: the sandbox of docs/contracts.md."""

from __future__ import annotations

from typing import Any

import docker.types

from reseed.orchestration.executors.host_paths import HostPaths
from reseed.orchestration.workspace import Launch, job_environment

LABEL = "org.reseed.job"

_PIDS_LIMIT = 512
_LOG_LIMIT = {"max-size": "20m", "max-file": "1"}
_TMP_GIB = 4


def container_arguments(launch: Launch, *, image: str, user: str, host_paths: HostPaths) -> dict[str, Any]:
    """What `docker run` is told: the contract's sandbox, the job's folders, its seeds."""
    job = launch.job
    memory = int(job.resources.memory_gib * 2**30)
    return {
        "image": image,
        "environment": job_environment(launch),
        "user": user,
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "init": True,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": memory // 2,
        "nano_cpus": job.resources.cpus * 10**9,
        "pids_limit": _PIDS_LIMIT,
        "ulimits": [
            docker.types.Ulimit(name="nofile", soft=4096, hard=4096),
            docker.types.Ulimit(name="core", soft=0, hard=0),
        ],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,mode=1777,size={_TMP_GIB}g"},  # noqa: S108 (the container's)
        "mounts": [
            docker.types.Mount(
                target=mount.target,
                source=str(host_paths.on_host(mount.source)),
                type="bind",
                read_only=not mount.writable,
            )
            for mount in launch.mounts
        ],
        "device_requests": _device_requests(launch.gpus),
        "log_config": docker.types.LogConfig(type="json-file", config=_LOG_LIMIT),
        "labels": {
            LABEL: job.key,
            f"{LABEL}.name": job.name,
            f"{LABEL}.attempt": str(launch.number),
            f"{LABEL}.place": str(host_paths.on_host(launch.folder.path)),
            **launch.labels,
        },
        "working_dir": "/tmp",  # noqa: S108 (the container's)
    }


def _device_requests(gpus: tuple[int, ...]) -> list[Any]:
    if not gpus:
        return []
    return [docker.types.DeviceRequest(device_ids=[str(gpu) for gpu in gpus], capabilities=[["gpu"]])]
