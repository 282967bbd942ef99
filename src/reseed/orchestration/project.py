"""The project folder: where algorithms, tasks and the evaluation program live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.manifest import AlgorithmManifest
from reseed.documents.reading import read_yaml


@dataclass(frozen=True)
class Algorithm:
    """An algorithm folder and its manifest."""

    folder: Path
    manifest: AlgorithmManifest

    @property
    def name(self) -> str:
        """The algorithm's name, which is its folder's."""
        return self.manifest.algorithm

    @property
    def package_root(self) -> Path:
        """The folder from which `python -m algorithms.<name>.train` works."""
        return self.folder.parent.parent

    def module(self, entry_point: str) -> str:
        """The module of an entry point."""
        return f"{self.folder.parent.name}.{self.folder.name}.{entry_point}"


@dataclass(frozen=True)
class Project:
    """A folder with algorithms/ and evaluation/, usually a clone of this project."""

    root: Path

    @classmethod
    def around(cls, *starts: Path) -> Project:
        """
        The first project folder at or above one of the places.

        Raises
        ------
        UserError
            When there is none.
        """
        for start in starts:
            for folder in (start.resolve(), *start.resolve().parents):
                if (folder / "algorithms").is_dir() and (folder / "evaluation" / "tasks").is_dir():
                    return cls(folder)
        looked = ", ".join(str(start) for start in starts)
        raise UserError(
            f"no folder with algorithms/ and evaluation/tasks/ at or above {looked}; name it with --project"
        )

    @property
    def tasks(self) -> Path:
        """The folder of task files."""
        return self.root / "evaluation" / "tasks"

    @property
    def evaluation_program(self) -> Path:
        """The entry point of the evaluation container."""
        return self.root / "evaluation" / "evaluate.py"

    def algorithm(self, name: str) -> Algorithm:
        """
        An algorithm by its name below algorithms/, or by a path to its folder.

        Raises
        ------
        UserError
            When there is no such folder; InvalidDocument when its manifest breaks the contract.
        """
        named = self.root / "algorithms" / name
        folder = named if (named / "manifest.yaml").is_file() else Path(name).resolve()
        path = folder / "manifest.yaml"
        if not path.is_file():
            known = sorted(path.parent.name for path in (self.root / "algorithms").glob("*/manifest.yaml"))
            raise UserError(
                f"no algorithm {name!r}; {self.root / 'algorithms'} has {', '.join(known) or 'none'}"
            )
        manifest = read_yaml(path, AlgorithmManifest)
        if manifest.algorithm != folder.name:
            raise UserError(f"{path}: algorithm must be named as its folder, got {manifest.algorithm!r}")
        return Algorithm(folder, manifest)
