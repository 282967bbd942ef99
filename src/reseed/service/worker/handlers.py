"""What a worker does, by kind of job: the one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reseed.service.database.jobs import Lease
from reseed.service.worker.checking import CHECK_IMAGE, CHECK_MODEL, check_image, check_model
from reseed.service.worker.evaluating import evaluate
from reseed.service.worker.predicting import predict, try_first_case
from reseed.service.worker.starting import start
from reseed.service.worker.training import preprocess, train
from reseed.service.worker.worker import Worker

Handler = Callable[[Worker, Lease], None]
"""
Does a job and ends it (`jobs.finish`) in the transaction of its result.

Raises
------
UserError
    What was submitted is at fault; the message is shown.
InfrastructureError
    It may be tried again.
LeaseLost, WorkerStops
    It is somebody else's now, or will be.
"""

HANDLERS: Mapping[str, Handler] = {
    CHECK_IMAGE: check_image,
    CHECK_MODEL: check_model,
    "start": start,
    "preprocess": preprocess,
    "train": train,
    "try": try_first_case,
    "predict": predict,
    "evaluate": evaluate,
}
