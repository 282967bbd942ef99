"""Image and model tarballs: the platform's rules, and what `reseed package` writes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.manifest import AlgorithmManifest
from reseed.orchestration.executors.images import build_command, image_saver
from reseed.orchestration.packaging.archives import InvalidPackage, rewritten_tarball, write_folder
from reseed.orchestration.packaging.image_rules import IMAGE_LIMITS, checked_image
from reseed.orchestration.packaging.model_rules import MODEL_LIMITS, checked_model
from reseed.orchestration.packaging.package import write_package
from reseed.orchestration.project import Project
from tests.engine import CA_BUNDLE

from .conftest import HERE, REPOSITORY, SmallProject, small_project

LAYER = b"the files of a layer"
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {
        "User": "10001:10001",
        "Entrypoint": ["/usr/bin/env"],
        "Cmd": ["inference"],
        "Labels": {"org.opencontainers.image.version": "1.0.0"},
    },
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]},
}


def entry(name: str, content: bytes = b"", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, content


def write_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return path


def image_tar(
    path: Path,
    *extra: tuple[tarfile.TarInfo, bytes],
    config: dict | None = None,
    layer: bytes = LAYER,
    n_images: int = 1,
) -> Path:
    """An image as `docker save` writes it."""
    manifest = [{"Config": "config.json", "RepoTags": ["reseed/x:latest"], "Layers": ["layer.tar"]}]
    return write_tar(
        path,
        entry("manifest.json", json.dumps(manifest * n_images).encode()),
        entry("config.json", json.dumps(CONFIG if config is None else config).encode()),
        entry("layer.tar", layer),
        *extra,
    )


def changed(**changes: Any) -> dict:
    return CONFIG | {"config": CONFIG["config"] | changes}  # type: ignore[operator]


class TestCheckedImage:
    @pytest.mark.parametrize("name", ["image.tar", "image.tar.gz"])
    def test_facts(self, tmp_path: Path, name: str):
        """
        What obeys every rule says what it is, gzip or not.
        """
        facts = checked_image(image_tar(tmp_path / name))

        assert facts.user == "10001:10001"
        assert facts.tags == ("reseed/x:latest",)
        assert facts.labels == {"org.opencontainers.image.version": "1.0.0"}
        assert facts.image_id == f"sha256:{hashlib.sha256(json.dumps(CONFIG).encode()).hexdigest()}"
        assert facts.n_layers == 1

    def test_packed_layer(self, tmp_path: Path):
        """
        A layer may be packed; its digest is of what it unpacks to.
        """
        assert checked_image(image_tar(tmp_path / "i.tar", layer=gzip.compress(LAYER))).n_layers == 1

    @pytest.mark.parametrize(
        ("config", "line"),
        [
            (CONFIG | {"architecture": "arm64"}, "must be for linux/amd64, is for linux/arm64"),
            (CONFIG | {"os": "windows"}, "must be for linux/amd64, is for windows/amd64"),
            (changed(User=""), "must have a USER that is not root, has 'none'"),
            (changed(User="root"), "must have a USER that is not root, has 'root'"),
            (changed(User="0:10001"), "must have a USER that is not root, has '0:10001'"),
            (
                changed(Entrypoint=None, Cmd=None),
                "must have an ENTRYPOINT in exec form (a list of words), has none",
            ),
            (
                changed(Entrypoint=["/bin/sh", "-c", "x"]),
                "must have an ENTRYPOINT in exec form, has one in shell form",
            ),
            (changed(Volumes={"/data": {}}), "must have no VOLUME, has /data"),
            (
                changed(Labels={"org.grand-challenge.api-method": "rest"}),
                "label org.grand-challenge.api-method must be exec or invoke, is 'rest'",
            ),
        ],
    )
    def test_configuration(self, tmp_path: Path, config: dict, line: str):
        """
        Each rule that the configuration breaks is a line.
        """
        with pytest.raises(InvalidPackage) as refused:
            checked_image(image_tar(tmp_path / "i.tar", config=config))
        assert refused.value.lines == (f"i.tar: {line}",)

    def test_all_at_once(self, tmp_path: Path):
        """
        Every broken rule is said in one go.
        """
        config = changed(User="root", Volumes={"/v": {}}) | {"architecture": "arm64"}

        with pytest.raises(InvalidPackage) as refused:
            checked_image(image_tar(tmp_path / "i.tar", config=config, layer=b"other"))
        assert len(refused.value.lines) == 4
        assert "layer layer.tar must have the digest sha256:" in refused.value.lines[-1]

    @pytest.mark.parametrize(
        ("extra", "line"),
        [
            (entry("../evil"), r"entry '\.\./evil' must lie inside"),
            (entry("/etc/evil"), "entry '/etc/evil' must lie inside"),
            (
                entry("a/l", type=tarfile.SYMTYPE, linkname="../../x"),
                r"link 'a/l' must lead inside, leads to '\.\./\.\./x'",
            ),
            (entry("l", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "link 'l' must lead inside"),
            (entry("l", type=tarfile.LNKTYPE, linkname="../x"), "link 'l' must lead inside"),
            (entry("d", type=tarfile.CHRTYPE), "entry 'd' must be a file or a folder, is a device or a pipe"),
            (entry("config.json"), "entry 'config.json' is there twice"),
        ],
    )
    def test_entries(self, tmp_path: Path, extra: tuple, line: str):
        """
        An entry that could reach outside is refused.
        """
        with pytest.raises(InvalidPackage, match=line):
            checked_image(image_tar(tmp_path / "i.tar", extra))

    def test_link_inside(self, tmp_path: Path):
        """
        Older engines link equal layers; that stays inside.
        """
        link = entry("a/layer.tar", type=tarfile.SYMTYPE, linkname="../layer.tar")

        assert checked_image(image_tar(tmp_path / "i.tar", link)).n_layers == 1

    @pytest.mark.parametrize(
        ("make", "line"),
        [
            (lambda path: image_tar(path, n_images=2), "must hold one image, holds 2"),
            (lambda path: image_tar(path, n_images=0), "must hold one image, holds 0"),
            (lambda path: write_tar(path, entry("manifest.json", b"{")), "must hold one image, holds 0"),
            (lambda path: write_tar(path, entry("x")), "is not an image as `docker save` writes it"),
            (lambda path: path.write_bytes(b"no tarball"), "is not a readable tarball"),
            (lambda path: None, "no such file"),
        ],
    )
    def test_no_image(self, tmp_path: Path, make: Callable, line: str):
        """
        What is no single image is said to be none.
        """
        make(tmp_path / "i.tar")

        with pytest.raises(InvalidPackage, match=line):
            checked_image(tmp_path / "i.tar")

    def test_cut_short(self, tmp_path: Path):
        """
        A tarball that ends too early is refused.
        """
        path = image_tar(tmp_path / "i.tar.gz")
        path.write_bytes(path.read_bytes()[:-200])

        with pytest.raises(InvalidPackage, match="is not a readable tarball"):
            checked_image(path)

    def test_limits(self, tmp_path: Path):
        """
        Size as uploaded, size unpacked and number of entries are limited.
        """
        path = image_tar(tmp_path / "i.tar.gz", entry("zeros", bytes(3_000_000)))

        for limit, words in (
            ({"packed_bytes": 100}, "must be at most 1e-07 GB"),
            ({"unpacked_bytes": 1_000_000}, "must unpack to at most"),
            ({"n_entries": 3}, "must hold at most 3 entries"),
        ):
            with pytest.raises(InvalidPackage, match=words):
                checked_image(path, replace(IMAGE_LIMITS, **limit))


class TestCheckedModel:
    def test_files(self, tmp_path: Path):
        """
        The files of a model, by name.
        """
        path = write_tar(
            tmp_path / "m.tar.gz", entry("member-0/weights.npz", b"1"), entry("member-0/run.json", b"2")
        )

        assert checked_model(path) == ("member-0/weights.npz", "member-0/run.json")

    @pytest.mark.parametrize(
        ("bad", "line"),
        [
            (
                entry("a", type=tarfile.SYMTYPE, linkname="b"),
                "entry 'a' must be a file or a folder, is a link",
            ),
            (entry("../a"), "must lie inside"),
        ],
    )
    def test_entries(self, tmp_path: Path, bad: tuple, line: str):
        """
        A model holds files alone.
        """
        with pytest.raises(InvalidPackage, match=line):
            checked_model(write_tar(tmp_path / "m.tar", entry("b"), bad))

    def test_empty_or_large(self, tmp_path: Path):
        """
        Nothing, and too much, are refused.
        """
        with pytest.raises(InvalidPackage, match="must hold the files of a model, is empty"):
            checked_model(write_tar(tmp_path / "m.tar"))
        with pytest.raises(InvalidPackage, match="must unpack to at most"):
            checked_model(
                write_tar(tmp_path / "n.tar", entry("w", bytes(200))),
                replace(MODEL_LIMITS, unpacked_bytes=100),
            )

    def test_damaged(self, tmp_path: Path):
        """
        One byte that changed on the way is found, though every entry can still be listed.
        """
        weights = np.random.default_rng(0).bytes(100_000)  # too random to be packed: the byte stays a byte
        path = write_tar(tmp_path / "m.tar.gz", entry("weights", weights))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)

        with pytest.raises(InvalidPackage, match=r"m\.tar\.gz: is not a readable tarball: CRC check failed"):
            checked_model(path)


class TestTarballs:
    def test_folder(self, tmp_path: Path):
        """
        A folder gives the same bytes whatever its times, owners and order; links become files.
        """
        for name, order in (("a", "xy"), ("b", "yx")):
            for each in order:
                (tmp_path / name / each).mkdir(parents=True)
                (tmp_path / name / each / "f").write_text(each)
            (tmp_path / name / "link").symlink_to(tmp_path / name / "x" / "f")
            write_folder(tmp_path / f"{name}.tar.gz", tmp_path / name)

        assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
        with tarfile.open(tmp_path / "a.tar.gz") as archive:
            assert archive.getnames() == ["link", "x/f", "y/f"]
            assert all(member.isfile() and member.mtime == 0 for member in archive)

    def test_rewritten(self, tmp_path: Path):
        """
        Two tarballs with the same files in another order and at another time become the same.
        """
        first = [entry("b", b"1", mtime=5), entry("a", b"2")]
        write_tar(tmp_path / "one.tar", *first)
        write_tar(tmp_path / "two.tar", *(entry(i.name, c, mtime=9) for i, c in reversed(first)))
        for name in ("one", "two"):
            rewritten_tarball(tmp_path / f"{name}.tar", tmp_path / f"{name}.tar.gz")

        assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()

    def test_nothing_half_written(self, tmp_path: Path):
        """
        A source that breaks off leaves no tarball.
        """
        (tmp_path / "bad.tar").write_bytes(b"x" * 2000)

        with pytest.raises(tarfile.TarError):
            rewritten_tarball(tmp_path / "bad.tar", tmp_path / "out.tar.gz")
        assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """The small project, which nobody here changes."""
    return small_project(tmp_path_factory.mktemp("packaging") / "project")


@pytest.fixture(scope="module")
def run(project: SmallProject) -> Path:
    """A finished run of the small project."""
    methods = {"one": {"algorithm": "logistic", "settings": {"features": 1}}}
    study = project.study(methods=methods, runs=2, members=2)
    done = subprocess.run(
        [sys.executable, "-m", "reseed", "run", str(study)],
        cwd=project.root, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return project.root / "small/runs/one/0"


def manifest_of(project: SmallProject) -> AlgorithmManifest:
    return Project(project.root).algorithm("logistic").manifest


class TestWritePackage:
    def test_both(self, project: SmallProject, run: Path, tmp_path: Path):
        """
        The model holds the run's members; twice the same run and image are twice the same bytes.
        """
        written = [
            write_package(
                manifest_of(project), run, tmp_path / name, save_image=image_tar_at, build_command="build"
            )
            for name in ("a", "b")
        ]

        assert written[0].image.name == "logistic-1.0.0.tar.gz"
        assert (written[0].image_sha256, written[0].model_sha256) == (
            written[1].image_sha256,
            written[1].model_sha256,
        )
        assert checked_model(written[0].model)[:2] == ("member-0/run.json", "member-0/weights.json")
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
            "logistic-1.0.0.tar.gz",
            "model.tar.gz",
        ]

    def test_another_version(self, project: SmallProject, run: Path, tmp_path: Path):
        """
        An image without the manifest's version is refused with the command that labels it; nothing is left.
        """

        def save(path: Path) -> None:
            image_tar(path, config=changed(Labels={}))

        with pytest.raises(InvalidPackage, match=r"must be 1\.0\.0, is missing; build it: docker build x"):
            write_package(
                manifest_of(project), run, tmp_path / "a", save_image=save, build_command="docker build x"
            )
        assert list((tmp_path / "a").iterdir()) == []

    def test_another_algorithm(self, project: SmallProject, run: Path, tmp_path: Path):
        """
        A run of another algorithm, or of another version, or no run, is refused.
        """
        manifest = manifest_of(project)
        for changes, folder, words in (
            ({"algorithm": "other"}, run, "is a run of logistic, and the algorithm is other"),
            (
                {"version": "2.0.0"},
                run,
                r"was trained with version 1\.0\.0 of logistic, which is now 2\.0\.0",
            ),
            ({}, tmp_path, "must be the folder of a finished run"),
        ):
            with pytest.raises(UserError, match=words):
                write_package(
                    manifest.model_copy(update=changes),
                    folder,
                    tmp_path / "a",
                    save_image=image_tar_at,
                    build_command="",
                )


def image_tar_at(path: Path) -> None:
    image_tar(path)


def test_build_command_has_the_labels():
    """Version and publication come from the manifest."""
    manifest = Project(REPOSITORY).algorithm("nodule_malignancy").manifest

    command = build_command("nodule_malignancy", manifest)
    assert f"--build-arg VERSION={manifest.version} " in command
    assert "--build-arg PUBLICATION=https://proceedings.mlr.press/v227/bosma24a.html" in command


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small project's algorithm, built as `reseed package` says, under a tag of its own."""
    context = tmp_path_factory.mktemp("context")
    for name in ("Dockerfile", ".dockerignore", "constraints.txt"):
        shutil.copy(REPOSITORY / name, context / name)
    for name in ("entrypoints", "src"):
        shutil.copytree(REPOSITORY / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "project" / "algorithms", context / "algorithms")
    manifest = Project.around(HERE / "project").algorithm("logistic").manifest
    words = build_command("logistic", manifest).split()
    tag = "reseed/logistic:packaging"
    words[words.index("-t") + 1], words[-1] = tag, str(context)
    options = ["--quiet", "--network", "host"]
    if CA_BUNDLE.is_file():
        options += ["--secret", f"id=ca,src={CA_BUNDLE}"]
    built = subprocess.run([*words[:2], *options, *words[2:]], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return tag


@pytest.mark.docker
class TestOnAnEngine:
    def test_from_engine_to_engine(
        self, engine: docker.DockerClient, image: str, project: SmallProject, run: Path, tmp_path: Path
    ):
        """
        The command writes two tarballs that obey the rules; the engine loads the image back as it was.
        """
        command = [sys.executable, "-m", "reseed", "package", "logistic", "--run", str(run), "--image", image]
        command += ["--project", str(project.root), "--out", str(tmp_path / "package")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        before = engine.images.get(image)
        packed = tmp_path / "package" / "logistic-1.0.0.tar.gz"

        facts = checked_image(packed)
        assert facts.user == "10001:10001"
        assert facts.labels["org.reseed.algorithm"] == "logistic"
        assert f"SHA-256 {hashlib.sha256(packed.read_bytes()).hexdigest()}" in done.stdout
        with packed.open("rb") as stream:
            (loaded,) = engine.images.load(stream)
        assert loaded.id == before.id

    def test_missing_image(self, engine: docker.DockerClient):
        """
        An image that nobody has built is named with the command that builds it.
        """
        with pytest.raises(UserError, match="no image reseed/nothing; build it: docker build it"):
            image_saver("reseed/nothing", "docker build it")
