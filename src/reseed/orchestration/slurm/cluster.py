"""A study's programs on a cluster: what would run, and all that is needed to submit it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.job import JobKind
from reseed.contracts.slurm import SlurmSettings
from reseed.documents.reading import read_yaml
from reseed.orchestration.executors.executor import Programs
from reseed.orchestration.plan import COMPARISON, EVALUATION
from reseed.orchestration.slurm.batch import BatchDocument
from reseed.orchestration.slurm.client import SlurmClient
from reseed.orchestration.slurm.containers import checked_template
from reseed.orchestration.slurm.images import ENGINES, PinnedImage, pinned_image
from reseed.orchestration.study_file import StudyContext
from reseed.orchestration.study_folder import StudyFolder

SITE_FILE = "slurm.yaml"


@dataclass
class SlurmCluster:
    """
    The cluster that a study is submitted to.

    Parameters
    ----------
    context
        The study file and what it names.
    settings
        The study's over the site's.
    own
        What runs as plain processes: the comparison always, everything where there are no containers.
    settings_folder
        Where relative paths in the settings start.
    """

    context: StudyContext
    settings: SlurmSettings
    own: Programs
    settings_folder: Path
    client: SlurmClient = field(default_factory=SlurmClient)
    name: str = "slurm"
    _images: dict[str, PinnedImage] = field(default_factory=dict)

    def code_digest(self, role: str) -> str:
        """Of the image, or of the program's files: the same as of the local executors."""
        return self._pinned(role).digest if self._is_container(role) else self.own.code_digest(role)

    def image(self, role: str) -> str | None:
        """The image of a role, pinned; None for a plain process."""
        if not self._is_container(role):
            return None
        pinned = self._pinned(role)
        if self.settings.container in ENGINES and pinned.reference.startswith("sha256:"):
            return f"reseed/{role}@{pinned.reference}"
        return (
            pinned.reference
            if "@sha256:" in pinned.reference
            else f"{pinned.reference}@sha256:{pinned.digest}"
        )

    def template(self) -> str:
        """The container template, tried out; empty for plain processes."""
        return checked_template(self.settings, folder=self.settings_folder)

    def document(
        self,
        study: StudyFolder,
        dataset: Path,
        *,
        kind: JobKind,
        keys: tuple[str, ...],
        time_s: int,
        throttle: int | None,
    ) -> BatchDocument:
        """What a node must know of a batch."""
        roles = {*self.context.algorithms, EVALUATION} if self.settings.container != "none" else set()
        return BatchDocument(
            study=self.context.study.study,
            study_folder=str(study.path.resolve()),
            dataset=str(dataset.resolve()),
            project=str(self.context.project.root.resolve()),
            algorithms={name: str(found.folder.resolve()) for name, found in self.context.algorithms.items()},
            task=self.context.task,
            settings=self.settings,
            images={role: self._pinned(role) for role in sorted(roles)},
            kind=kind,
            keys=keys,
            time_s=time_s,
            throttle=throttle,
        )

    def refuse_paths(self, *paths: Path) -> None:
        """
        Refuse folders whose names the mount options of container programs cannot hold.

        Raises
        ------
        UserError
            Naming the first such folder.
        """
        for path in paths:
            if self.settings.container != "none" and any(sign in str(path.resolve()) for sign in ',:"\n'):
                raise UserError(
                    f'{path}: a folder that containers are to see must not have , : or " in its path'
                )

    def _is_container(self, role: str) -> bool:
        return self.settings.container != "none" and role != COMPARISON

    def _pinned(self, role: str) -> PinnedImage:
        if role not in self._images:
            self._images[role] = pinned_image(
                role, self.settings, folder=self.settings_folder, remembered=self._digests
            )
        return self._images[role]

    @property
    def _digests(self) -> Path:
        return self.context.project.root / ".slurm-images.json"


def cluster_settings(context: StudyContext, site: Path | None) -> tuple[SlurmSettings, Path]:
    """
    The settings of a study over those of its site, and where relative paths in them start.

    Parameters
    ----------
    context
        The study.
    site
        The site's file; <project>/slurm.yaml, if there is one, when not given.

    Raises
    ------
    UserError
        When the named file is not there; InvalidDocument when it breaks the contract.
    """
    path = site or context.project.root / SITE_FILE
    if site is None and not path.is_file():
        return context.study.slurm, context.path.parent
    return context.study.slurm.over(read_yaml(path, SlurmSettings)), path.parent
