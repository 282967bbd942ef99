"""What the engine's host calls the folders that an orchestrator in a container sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import UserError


@dataclass(frozen=True)
class HostPaths:
    """
    Translates paths for the engine, which resolves bind mounts on its own host.

    Parameters
    ----------
    mounts
        (path here, path on the host) of every mount of the orchestrator's own container; empty
        when the orchestrator runs on the host itself, where every path is what it is.
    """

    mounts: list[tuple[Path, Path]]

    def on_host(self, path: Path) -> Path:
        """
        The host's name for a path.

        Raises
        ------
        UserError
            When the path lies outside every mount: the host cannot see it.
        """
        resolved = path.resolve()
        if not self.mounts:
            return resolved
        holding = [(here, host) for here, host in self.mounts if resolved.is_relative_to(here)]
        if not holding:
            raise UserError(
                f"{resolved} is inside the orchestrator's container only; mount its folder from the host"
            )
        here, host = max(holding, key=lambda mount: len(mount[0].parts))
        return host / resolved.relative_to(here)

    def here(self, host_path: Path) -> Path | None:
        """What we call a path of the host; None when we cannot see it."""
        if not self.mounts:
            return host_path
        holding = [(here, host) for here, host in self.mounts if host_path.is_relative_to(host)]
        if not holding:
            return None
        here, host = max(holding, key=lambda mount: len(mount[1].parts))
        return here / host_path.relative_to(host)
