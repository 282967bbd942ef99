"""
The machine's energy, as codecarbon's offline tracker measures it.

One tracker for all jobs of a command: it takes seconds to start, which happens beside the jobs, and under a
millisecond to read. It writes no file, has no key and no address to send to, and needs no network.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from reseed.contracts.footprint import Measuring

_NEVER_S = 10**7
"""Between measurements that the tracker makes by itself: it is read when jobs start and end."""

# every address, key and file is said to be none: a configuration file of the user's may name some
_TRACKER_SETTINGS: dict[str, Any] = {
    "country_iso_code": "FRA",  # of no effect: CO2 is reckoned from energy, by the site's grid
    "region": None,
    "output_methods": [],
    "save_to_file": False,
    "save_to_api": False,
    "save_to_logger": False,
    "save_to_prometheus": False,
    "save_to_logfire": False,
    "emissions_endpoint": None,
    "electricitymaps_api_token": None,
    "co2_signal_api_token": None,
    "cloud_provider": None,
    "api_call_interval": -1,
    "allow_multiple_runs": True,
    "tracking_mode": "machine",
    "log_level": "critical",
    "measure_power_secs": _NEVER_S,
    "gpu_ids": None,
    "pue": 1.0,
    "force_cpu_power": None,
    "force_ram_power": None,
}


@dataclass(frozen=True)
class Energy:
    """Kilowatt hours since the last reading, which was `seconds` ago; of the GPUs one by one."""

    seconds: float
    cpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    gpu_kwh: tuple[float, ...] = ()


class EnergyMeter:
    """
    Reads the machine's energy between two moments.

    Starting happens in a thread; until it is through, and where it fails, a reading is None.
    """

    def __init__(self) -> None:
        self._tracker: Any = None
        self._readings: list[Any] = []
        self._gpus: Any = None
        self._last_read = 0.0
        self.why_not: str | None = None
        self._start = threading.Thread(target=self._started, name="energy-meter", daemon=True)
        self._start.start()

    def ready(self, timeout_s: float | None = None) -> bool:
        """Whether the tracker measures; waits for it at most so long."""
        self._start.join(timeout_s)
        return self._tracker is not None

    def read(self) -> Energy | None:
        """The energy since the last reading; None while nothing is measured."""
        if self._start.is_alive() or self._tracker is None:
            return None
        now = time.monotonic()
        self._readings.clear()
        self._tracker.flush()
        if not self._readings:
            return None
        found = self._readings[-1]
        seconds = now - self._last_read
        by_gpu = self._energy_by_gpu(seconds, found.gpu_energy)
        self._last_read = now
        return Energy(seconds, found.cpu_energy, found.ram_energy, by_gpu)

    def measuring(self) -> Measuring | None:
        """How; None where nothing is measured."""
        if not self.ready(0):
            return None
        parts = {type(part).__name__: part for part in self._tracker._hardware}
        return Measuring(
            tool=f"codecarbon {importlib.metadata.version('codecarbon')}, offline tracker, whole machine",
            cpu=_cpu_words(parts.get("CPU")),
            gpu="NVML energy counters" if "GPU" in parts else "none",
            ram="estimated from its size and modules (codecarbon's model)",
        )

    def stop(self) -> None:
        """End the tracker's threads; one that is still starting is left to end with the process."""
        if not self._start.is_alive() and self._tracker is not None:
            self._tracker.stop()
            self._tracker = None

    def _started(self) -> None:
        try:
            self._tracker = self._running_tracker()
        except Exception as error:  # noqa: BLE001  (no study fails because energy cannot be measured)
            self.why_not = f"{type(error).__name__}: {error}"

    def _running_tracker(self) -> Any:
        from codecarbon.core.gpu import AllGPUDevices  # noqa: PLC0415

        tracker = _tracker(self._readings)
        tracker.start()
        if getattr(tracker, "_start_time", None) is None:
            raise RuntimeError("the tracker did not start")
        devices = AllGPUDevices()
        if devices.device_count:
            devices.start()
            self._gpus = devices
        tracker.flush()  # what was used before now belongs to nobody
        self._readings.clear()
        self._last_read = time.monotonic()
        return tracker

    def _energy_by_gpu(self, seconds: float, total_kwh: float) -> tuple[float, ...]:
        """The tracker's total, split as the counters of the single GPUs say."""
        if self._gpus is None:
            return ()
        from codecarbon.core.units import Time  # noqa: PLC0415

        found = {
            int(gpu["gpu_index"]): float(gpu["delta_energy_consumption"].kWh)
            for gpu in self._gpus.get_delta(Time.from_seconds(seconds))
        }
        return split_by_counter(total_kwh, found)


def _tracker(readings: list[Any]) -> Any:
    """A tracker that has not started, and appends what it reads to a list."""
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  (0.3 s, in the thread)
    from codecarbon.output_methods.base_output import BaseOutput  # noqa: PLC0415

    class Reading(BaseOutput):
        def out(self, _total: Any, delta: Any) -> None:
            readings.append(delta)

        def live_out(self, _total: Any, _delta: Any) -> None:
            pass

    # it prints its welcome before it looks at the level that it is told
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    return OfflineEmissionsTracker(**_TRACKER_SETTINGS, output_handlers=[Reading()])


def split_by_counter(total_kwh: float, counted_kwh: dict[int, float]) -> tuple[float, ...]:
    """A total over GPUs, in proportion to what each counter says; equal parts where all say nothing."""
    if not counted_kwh:
        return ()
    counted = sum(counted_kwh.values())
    size = max(counted_kwh) + 1
    if counted <= 0:
        return tuple(total_kwh / len(counted_kwh) if index in counted_kwh else 0.0 for index in range(size))
    return tuple(total_kwh * counted_kwh.get(index, 0.0) / counted for index in range(size))


def _cpu_words(cpu: Any) -> str:
    """How the tracker gets at the processor's energy, from its own words for it."""
    mode = getattr(cpu, "_mode", "unknown")
    match mode:
        case "intel_rapl":
            return "RAPL energy counters"
        case "cpu_load":
            tdp = getattr(cpu, "_tdp", None)
            return (
                f"estimated: {tdp:g} W of the whole processor × load (codecarbon's model; RAPL not readable)"
            )
        case _:
            return f"estimated by codecarbon's mode {mode!r}"
