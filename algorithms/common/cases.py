"""Cases as Grand Challenge hands them over: inputs.json and the files of its sockets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from reseed.contracts.containers import InferencePaths
from reseed.contracts.errors import UserError
from reseed.contracts.sockets import Socket, SocketValue

INPUTS = "inputs.json"
OUTPUT_IMAGE = "output.mha"
_SOCKET_VALUES = TypeAdapter(list[SocketValue])


@dataclass(frozen=True)
class Case:
    """One case: where its inputs lie and where its outputs go."""

    name: str
    input_folder: Path
    output_folder: Path

    def slugs(self) -> list[str]:
        """The sockets that inputs.json names."""
        return [value.described_by.slug for value in self._inputs()]

    def image(self, socket: Socket) -> Path:
        """
        The one file of an image socket; its name is the platform's choice.

        Raises
        ------
        UserError
            When inputs.json does not name the socket, or there is not exactly one file.
        """
        slugs = self.slugs()
        if socket.slug not in slugs:
            raise UserError(f"case {self.name!r}: {INPUTS} must name socket {socket.slug!r}, got {slugs}")
        folder = self.input_folder / socket.relative_path
        files = sorted(path for path in folder.glob("*") if path.is_file())
        if len(files) != 1:
            raise UserError(
                f"case {self.name!r}: {socket.relative_path} must hold exactly one file, got {len(files)}"
            )
        return files[0]

    def write_value(self, socket: Socket, value: float) -> None:
        """
        Write the output of a value socket.

        Raises
        ------
        UserError
            When it is not finite, which JSON and the platform do not know.
        """
        if not math.isfinite(value):
            raise UserError(f"case {self.name!r}: {socket.slug} must be a finite number, got {value}")
        path = self.output_folder / socket.relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{json.dumps(value)}\n", encoding="utf-8")

    def image_output(self, socket: Socket) -> Path:
        """Where the one file of an image output goes."""
        return self.output_folder / socket.relative_path / OUTPUT_IMAGE

    def _inputs(self) -> list[SocketValue]:
        path = self.input_folder / INPUTS
        try:
            return _SOCKET_VALUES.validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UserError(f"case {self.name!r}: {INPUTS}: {place}: {first['msg']}") from None


def cases(paths: InferencePaths) -> Iterator[Case]:
    """
    The one case at /input, or every case below it, by name.

    Raises
    ------
    UserError
        When there is neither.
    """
    if (paths.input / INPUTS).is_file():
        yield Case("input", paths.input, paths.output)
        return
    folders = sorted(path.parent for path in paths.input.glob(f"*/{INPUTS}"))
    if not folders:
        raise UserError(f"{paths.input} must hold {INPUTS}, or folders of cases that hold one; got neither")
    for folder in folders:
        yield Case(folder.name, folder, paths.output / folder.name / "output")
