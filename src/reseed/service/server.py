"""The web server: gunicorn with its own ASGI worker, or uvicorn's where gunicorn has none."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers import SUPPORTED_WORKERS

# Before anything imports prometheus_client, which reads it then.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PR_SET_PDEATHSIG = 1

_LOGS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "reseed.service.operations.logs.JsonLines"}},
    "handlers": {
        "lines": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}
    },
    "root": {"handlers": ["lines"], "level": "INFO"},
    "loggers": {
        name: {"handlers": ["lines"], "level": level, "propagate": False}
        for name, level in (("gunicorn.error", "INFO"), ("gunicorn.access", "WARNING"))
    },
}


@dataclass(frozen=True)
class Binding:
    """Where the server listens, and with how many processes."""

    address: str
    n_workers: int


def worker_class() -> str:
    """Gunicorn's own ASGI worker, or the one of the package uvicorn-worker."""
    return "asgi" if "asgi" in SUPPORTED_WORKERS else "uvicorn_worker.UvicornWorker"


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, set up by us; the application itself is made in each worker."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn is to do."""
        settings = {
            "bind": self._binding.address,
            "workers": self._binding.n_workers,
            "worker_class": worker_class(),
            "proc_name": "reseed",
            "graceful_timeout": 30,
            "timeout": 120,
            "keepalive": 15,
            # whom to believe is the application's to decide
            "forwarded_allow_ips": "",
            "logconfig_dict": _LOGS,
            "post_fork": _end_with_master,
            "child_exit": _forget_worker,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application, in a worker."""
        from reseed.service.asgi import application  # noqa: PLC0415  (not in the process that forks)

        return application()


def _end_with_master(master: Any, worker: Any) -> None:
    """
    Let the kernel kill a worker whose master is gone.

    By itself it would look for the master every second once it is up, and then hold the port, and
    what it is at, for up to 30 s more: a server that is started again would not get the port.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        worker.log.warning("prctl: %s", os.strerror(ctypes.get_errno()))
    if os.getppid() != master.pid:
        os._exit(1)  # it was gone before


def _forget_worker(_server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess  # noqa: PLC0415  (after its folder is known)

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def serve(binding: Binding) -> None:
    """Serve until a signal ends it; the numbers of all workers are added up in a folder meanwhile."""
    folder = tempfile.mkdtemp(prefix="reseed-metrics-")
    os.environ[METRICS_FOLDER] = folder
    starter = os.getpid()
    try:
        Server(binding).run()
    finally:
        if os.getpid() == starter:
            shutil.rmtree(folder, ignore_errors=True)
