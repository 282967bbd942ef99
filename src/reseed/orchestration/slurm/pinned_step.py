"""
One container of a submission on a node: `python -m reseed.orchestration.slurm.pinned_step ATTEMPT_FOLDER`.

Loads the image where the node does not have it, starts the container by the site's template, passes SIGTERM
on to it, ends it at its time limit, and notes how it ended. It never starts what somebody has given up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import jinja2

from reseed.contracts.errors import InfrastructureError, ReseedError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.orchestration.executors.container_user import own_writable_folders
from reseed.orchestration.executors.pinned import LOADED_REPOSITORY
from reseed.orchestration.packaging.untagged import untagged_stream
from reseed.orchestration.slurm.containers import (
    container_name,
    container_user_of,
    out_of_memory_mark,
    start_script,
)
from reseed.orchestration.slurm.images import PinnedImage
from reseed.orchestration.slurm.node import NodeEnd, NodeFiles, NodeLaunch, node_launch
from reseed.orchestration.slurm.place import Place
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import Launch, Mount

EXIT_CLOSED = 5
_GRACE_S = 30.0
_INTERVAL_S = 0.1
_MAX_LOG_BYTES = 20 << 20
# what docker run and podman run exit with when they could not start the container
_ENGINE_FAILED = 125


@dataclass
class PinnedStep:
    """Does one attempt, which this process has claimed."""

    attempt: AttemptFolder
    document: NodeLaunch
    place: Place
    n_stops: int = 0

    def ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: somebody cancels; the second one ends the program at once."""
        self.n_stops += 1

    def run(self) -> NodeEnd:
        """Start the container and see it to its end."""
        if self.n_stops:
            return NodeEnd(why="cancelled before it started")
        user = self._image()
        image = PinnedImage(reference=self.document.digest, digest=self.document.digest[7:], user=user)
        launch = self._launch()
        own_writable_folders(launch, container_user_of(image))
        try:
            text = start_script(
                self.document.template,
                launch,
                self.document.settings,
                image=image,
                gpus=self.place.gpus,
                slurm_job=str(self.place.task),
            )
        except jinja2.TemplateError as error:
            raise InfrastructureError(f"the container template: {error}") from None
        script = self.attempt.path / "start.sh"
        write_text_atomically(script, text)
        return self._watched(script)

    def _launch(self) -> Launch:
        mounts = tuple(Mount(Path(each.source), each.target, each.writable) for each in self.document.mounts)
        gpus = tuple(range(len(self.place.gpus.ids)))
        return Launch(self.document.job, self.document.number, self.attempt, mounts, gpus)

    def _image(self) -> str:
        """Have the image on this node; the user that it sets."""
        digest, tarball = self.document.digest, self.document.tarball
        lock = Path(tempfile.gettempdir()) / f"reseed-load-{digest[7:]}.lock"
        with lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            user = self._user_of(digest)
            if user is None and tarball is not None:
                with untagged_stream(Path(tarball)) as image:
                    self._engine("load", "--quiet", stdin=image)
                user = self._user_of(digest)
                self._engine("tag", digest, f"{LOADED_REPOSITORY}:{digest[7:]}")
        if user is None:
            raise InfrastructureError(f"{self.place.node}: no image {digest}, and no archive of it is named")
        return user

    def _user_of(self, digest: str) -> str | None:
        shown = self._asked("image", "inspect", digest)
        if shown.returncode != 0:
            return None
        (found,) = json.loads(shown.stdout)
        return str((found.get("Config") or {}).get("User") or "")

    def _engine(self, *words: str, stdin: IO[bytes] | None = None) -> None:
        done = self._asked(*words, stdin=stdin)
        if done.returncode != 0:
            said = (done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"])[-1]
            raise InfrastructureError(
                f"{self.place.node}: {self.document.settings.container} {words[0]}: {said}"
            )

    def _asked(self, *words: str, stdin: IO[bytes] | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [self.document.settings.container, *words]
        try:
            return subprocess.run(
                command, stdin=stdin or subprocess.DEVNULL, capture_output=True, timeout=3600, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError(f"{self.place.node}: {command[0]} does not answer: {error}") from None

    def _watched(self, script: Path) -> NodeEnd:
        files = NodeFiles(self.attempt)
        started = time.monotonic()
        with files.log.open("ab") as log, files.errors.open("ab") as errors:
            child = subprocess.Popen(
                ["/bin/bash", str(script)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.attempt.path,
                start_new_session=True,
            )
            readers = [
                threading.Thread(target=_kept, args=(child.stdout, (log,)), daemon=True),
                threading.Thread(target=_kept, args=(child.stderr, (log, errors)), daemon=True),
            ]
            for reader in readers:
                reader.start()
            timed_out = self._waited(child, started, files)
            for reader in readers:
                reader.join()
        ran_s = time.monotonic() - started
        out_of_memory = out_of_memory_mark(self.attempt).exists()
        why = f"timed out after {self.document.timeout_s} s" if timed_out else None
        code = child.returncode if child.returncode >= 0 else 128 - child.returncode
        if code == _ENGINE_FAILED:
            lines = files.errors.read_text(errors="replace").strip().splitlines()
            return NodeEnd(
                ran_s=ran_s, why=f"{self.place.node}: {lines[-1] if lines else 'the engine failed'}"
            )
        return NodeEnd(exit_code=code, ran_s=ran_s, out_of_memory=out_of_memory, timed_out=timed_out, why=why)

    def _waited(self, child: subprocess.Popen[bytes], started: float, files: NodeFiles) -> bool:
        """Wait for the end; whether the program was ended by its time limit."""
        asked_at: float | None = None
        timed_out = False
        while child.poll() is None:
            now = time.monotonic()
            if asked_at is None:
                timed_out = now - started > self.document.timeout_s
                if timed_out or self.n_stops:
                    asked_at = now
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGTERM)
            elif now - asked_at > _GRACE_S or self.n_stops > 1 or files.force.exists():
                # the script stays, and notes what became of the container
                with contextlib.suppress(InfrastructureError):
                    self._asked("kill", container_name(self.attempt))
                asked_at = now
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_INTERVAL_S)
        return timed_out


def _kept(stream: IO[bytes], files: tuple[IO[bytes], ...]) -> None:
    """Write what a program prints, as it comes; more than a log holds is read and dropped."""
    n_bytes = 0
    for line in iter(lambda: stream.readline(1 << 16), b""):
        n_bytes += len(line)
        if n_bytes <= _MAX_LOG_BYTES:
            for file in files:
                file.write(line)
                file.flush()


def main(arguments: list[str]) -> int:
    """Do the attempt whose folder is named; the exit code for Slurm."""
    attempt = AttemptFolder(Path(arguments[0]))
    files = NodeFiles(attempt)
    if not files.claim():
        sys.stdout.write("not started: it was given up, or another process has it\n")
        return EXIT_CLOSED
    try:
        step = PinnedStep(attempt, node_launch(attempt), Place.of(os.environ))
        signal.signal(signal.SIGTERM, step.ask_to_stop)
        end = step.run()
    except ReseedError as error:
        end = NodeEnd(why=str(error))
    write_json_atomically(files.end, end)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
