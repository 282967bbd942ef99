"""nnU-Net's batches, each a function of the seeds and of its number alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from algorithms.common.nnunet.randomness import global_generators, seed_of_place

TRAINING, VALIDATION = 0, 1

Batch = dict[str, Any]


class SeededTransform:
    """Runs nnU-Net's transforms with the generators of the stream `augmentation`, whatever drew before."""

    def __init__(self, transforms: Any, seed: int, phase: int) -> None:
        self._transforms = transforms
        self._seed = seed
        self._phase = phase
        self._batch = self._sample = 0

    def start_batch(self, number: int) -> None:
        """The next sample is the first of that batch."""
        self._batch, self._sample = number, 0

    def __call__(self, **sample: Any) -> Batch:
        """One transformed sample."""
        place = (self._phase, self._batch, self._sample)
        self._sample += 1
        with global_generators(seed_of_place(self._seed, *place)):
            transformed: Batch = self._transforms(**sample)
        return transformed


class SeededBatches:
    """
    A loader of nnU-Net's whose n-th batch depends on the seeds and on n.

    Cases and patch positions are drawn from the stream `order`, transforms from the stream
    `augmentation`. So the sequence of batches does not depend on the number of workers, and a
    training that is resumed asks for the number it has reached.

    Parameters
    ----------
    loader
        As nnU-Net made it.
    order_seed, augmentation_seed
        Of the two streams.
    phase
        TRAINING or VALIDATION: they never share a seed.
    first
        Number of the first batch.
    n_workers
        Processes that share the work; worker w makes every n-th batch from first + w on.
    """

    def __init__(
        self,
        loader: nnUNetDataLoader,
        *,
        order_seed: int,
        augmentation_seed: int,
        phase: int,
        first: int,
        n_workers: int,
    ) -> None:
        self._loader = loader
        self._transform = SeededTransform(loader.transforms, augmentation_seed, phase)
        loader.transforms = self._transform
        self._order_seed = order_seed
        self._phase = phase
        self._first = self._number = first
        self._n_workers = n_workers

    def set_thread_id(self, worker: int) -> None:
        """Called in the worker by batchgenerators, before the first batch."""
        _end_when_told()
        self._number = self._first + worker

    def __iter__(self) -> SeededBatches:
        return self

    def __next__(self) -> Batch:
        number = self._number
        self._number += self._n_workers
        self._transform.start_batch(number)
        with global_generators(seed_of_place(self._order_seed, self._phase, number)):
            batch: Batch = self._loader.generate_train_batch()
        return batch


def augmenter(batches: SeededBatches, *, n_workers: int, pin_memory: bool) -> Any:
    """
    What nnU-Net's trainer takes batches from: this process, or workers that are asked in turn.

    batchgenerators' MultiThreadedAugmenter keeps the order of its workers; the one that nnU-Net uses
    by default hands out whatever is ready first.
    """
    if n_workers == 0:
        return SingleThreadedAugmenter(batches, None)
    return MultiThreadedAugmenter(
        batches, None, n_workers, num_cached_per_queue=2, seeds=None, pin_memory=pin_memory, wait_time=0.002
    )


def stop_augmenter(augmenter: Any) -> None:
    """End the workers, if there are any; batchgenerators has no public way to."""
    if isinstance(augmenter, MultiThreadedAugmenter):
        augmenter._finish()


def _end_when_told() -> None:
    """
    Let SIGTERM end this worker, and the end of the training that it works for.

    The training's own handler of SIGTERM, which only takes a note, was inherited. A worker whose training
    was killed waits for room in its queue for ever, so it is not asked again for a batch.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    training = multiprocessing.parent_process()
    if training is None:
        return

    def follow() -> None:
        training.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
