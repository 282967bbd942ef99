"""A process that writes to an installation without a rest: images come and go, an upload grows."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from itertools import count

from reseed.service.database.models import Algorithm, AlgorithmImage, Upload
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import ArchiveState
from reseed.service.images.keeping import remove_refused
from reseed.service.installation import Installation, installation
from reseed.service.settings import settings_from
from tests.service.rows import add_user


def write(here: Installation) -> None:
    """Until it is killed."""
    with here.database.write() as session:
        user = add_user(session, "writer")
        algorithm = Algorithm(owner=user, slug="net", title="Net")
        session.add(algorithm)
        upload = Upload(creator=user, filename="x", size_bytes=1 << 40)
        enter(session, upload, within=timedelta(days=1))
    made: list[AlgorithmImage] = []
    for number in count():
        content = f"image {number} ".encode() * 2000
        digest = hashlib.sha256(content).hexdigest()
        image = AlgorithmImage(algorithm_pk=algorithm.pk, creator_pk=user.pk, state=ArchiveState.READY)
        image.sha256, image.digest, image.size_bytes = digest, f"sha256:{digest}", len(content)
        with here.database.write() as session:
            session.add(image)
            session.flush()
            # as a worker leaves it: the file has its place before the row is there
            path = here.folder.image(image.pk)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        made.append(image)
        if number % 3 == 2:
            with here.database.write() as session:
                transition(session, made.pop(0), ArchiveState.REMOVED, reason="not needed")
            remove_refused(here.database, here.folder)
        path = here.folder.upload(upload.pk)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            start = stream.tell()
            stream.write(bytes(index % 251 for index in range(start, start + 1000)))
        with here.database.write() as session:
            session.get_one(Upload, upload.pk).offset = start + 1000


if __name__ == "__main__":
    write(installation(settings_from(os.environ)))
