"""Sockets and their values: paths that stay inside, and both names of the key."""

import pytest
from pydantic import ValidationError

from reseed.contracts.sockets import Socket, SocketValue


def socket(**changed):
    """A socket, right but for what is changed."""
    return Socket(
        **{
            "slug": "ct-image",
            "kind": "Image",
            "super_kind": "Image",
            "relative_path": "images/ct",
            **changed,
        }
    )


class TestSocket:
    @pytest.mark.parametrize("path", ["/images/ct", "images/../../etc", "../x.json", ""])
    def test_a_path_that_leads_out(self, path):
        """
        Refused, whatever the kind.
        """
        with pytest.raises(ValidationError, match="must be a path below /input or /output"):
            socket(relative_path=path)

    @pytest.mark.parametrize("path", ["ct", "images", "images/a/b", "images/"])
    def test_an_image_has_a_folder_of_its_own(self, path):
        """
        images/<folder>, no more and no less.
        """
        with pytest.raises(ValidationError, match="relative_path of an Image must be images/<folder>"):
            socket(relative_path=path)

    def test_a_value_is_a_json_file(self):
        """
        Any other suffix is a mistake.
        """
        with pytest.raises(ValidationError, match=r"relative_path of a Value must end in \.json"):
            socket(super_kind="Value", relative_path="score.txt")

    @pytest.mark.parametrize("slug", ["CT", "ct_image", "ct--image", "-ct", "ct\n"])
    def test_a_slug_that_is_none(self, slug):
        """
        Lower case words joined by single hyphens.
        """
        with pytest.raises(ValidationError, match="pattern"):
            socket(slug=slug)


class TestSocketValue:
    def test_written_under_both_keys(self):
        """
        Old and new readers find the same object.
        """
        value = SocketValue.of(socket(), image_name="case_1.mha").model_dump(mode="json")

        assert value["socket"] == value["interface"]
        assert value["socket"]["relative_path"] == "images/ct"
        assert value["image"] == {"pk": "case_1", "name": "case_1.mha"}

    @pytest.mark.parametrize("key", ["socket", "interface"])
    def test_read_under_either_key(self, key):
        """
        A platform writes one of them, and keys that we do not know.
        """
        read = SocketValue.model_validate({key: {"slug": "a", "relative_path": "a.json", "new": 1}, "pk": 3})

        assert read.described_by.slug == "a"

    def test_under_neither_key(self):
        """
        A value of nothing is refused.
        """
        with pytest.raises(ValidationError, match="has neither 'socket' nor 'interface'"):
            SocketValue.model_validate({"value": 1})
