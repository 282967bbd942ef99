"""Numbers for Prometheus: of requests by this service's processes, of the queue from the database."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from reseed.service.database.engine import Database
from reseed.service.database.models import Evaluation, Job, Run, Submission, Upload

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_KEPT_IN = "PROMETHEUS_MULTIPROC_DIR"


class RequestMetrics:
    """How many requests of each route there were, how they ended and how long they took."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "reseed_http_requests",
            "Requests by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "reseed_http_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def observe(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; `route` is its template, so that there are few."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, database: Database) -> bytes:
        """The exposition, with the states of the nouns as they are in the database now."""
        registry = CollectorRegistry()
        # several processes of one server add up in files that they share
        if _KEPT_IN in os.environ:
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            requests = generate_latest(registry)
        else:
            requests = generate_latest(self.registry)
        states = CollectorRegistry()
        states.register(_States(database))
        return requests + generate_latest(states)


class _States(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """A gauge of rows by state for each noun that has one."""
        with self._database.read() as session:
            for table in (Submission, Run, Evaluation, Job, Upload):
                name = table.__tablename__
                gauge = GaugeMetricFamily(f"reseed_{name}", f"Rows of {name} by state.", labels=["state"])
                counts = session.execute(select(table.state, func.count()).group_by(table.state))
                for state, count in counts:
                    gauge.add_metric([str(state)], count)
                yield gauge
