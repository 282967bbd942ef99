"""Settings of an algorithm: typed, limited, resolved with every default."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reseed.contracts.errors import InvalidDocument
from reseed.contracts.manifest import AlgorithmManifest, Hyperparameter, setting_text

SOCKET = {"slug": "ct", "kind": "Image", "super_kind": "Image", "relative_path": "images/ct"}


def rule(kind, default, **limits):
    """One hyperparameter."""
    return Hyperparameter(type=kind, default=default, description="d", **limits)


def manifest(**changed):
    """An algorithm with two settings."""
    return AlgorithmManifest.model_validate(
        {
            "algorithm": "cnn",
            "title": "CNN",
            "version": "1",
            "description": "d",
            "task": "t",
            "licence": "MIT",
            "inputs": [SOCKET],
            "outputs": [SOCKET],
            "hyperparameters": {
                "epochs": {"type": "integer", "default": 5, "description": "d", "minimum": 1},
                "dimension": {
                    "type": "integer",
                    "default": 2,
                    "description": "d",
                    "choices": [2, 3],
                    "stages": ["preprocess", "train"],
                },
            },
            **changed,
        }
    )


class TestHyperparameter:
    @pytest.mark.parametrize(
        ("kind", "default", "given_value", "value"),
        [
            ("integer", 1, "8", 8),
            ("integer", 1, 8.0, 8),
            ("integer", 1, "12345678901234567890", 12345678901234567890),
            ("number", 1.0, "1e-3", 0.001),
            ("number", 1.0, 2, 2.0),
            ("boolean", False, "true", True),
            ("boolean", False, True, True),
            ("string", "", "1", "1"),
        ],
    )
    def test_typed_values_and_text(self, kind, default, given_value, value):
        """
        From YAML a setting is typed, from hyperparameters.json it is text: the same value.
        """
        found = rule(kind, default).value_of(given_value)

        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("kind", "default", "bad"),
        [
            ("integer", 1, True),
            ("integer", 1, 1.5),
            ("integer", 1, "one"),
            ("number", 1.0, "nan"),
            ("number", 1.0, math.inf),
            ("number", 1.0, ""),
            ("boolean", True, "yes"),
            ("boolean", True, 1),
            ("string", "", 1),
        ],
    )
    def test_another_type(self, kind, default, bad):
        """
        Nothing is guessed: the type and what arrived are named.
        """
        with pytest.raises(ValueError, match=f"must be of type {kind}, got "):
            rule(kind, default).value_of(bad)

    def test_limits_and_choices(self):
        """
        The limit is named.
        """
        with pytest.raises(ValueError, match="must be at least 1, got '0'"):
            rule("integer", 1, minimum=1).value_of("0")
        with pytest.raises(ValueError, match=r"must be at most 0\.5, got 1"):
            rule("number", 0.1, maximum=0.5).value_of(1)
        with pytest.raises(ValueError, match="must be one of 2, 3, got 4"):
            rule("integer", 2, choices=(2, 3)).value_of(4)

    def test_a_default_that_breaks_its_own_rule(self):
        """
        Found when the manifest is read, not when it is used.
        """
        with pytest.raises(ValidationError, match="must be at least 1, got 0"):
            rule("integer", 0, minimum=1)

    @given(
        st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
    )
    def test_text_and_back(self, value):
        """
        What hyperparameters.json carries is the same setting again.
        """
        kind = {bool: "boolean", int: "integer", float: "number", str: "string"}[type(value)]

        assert rule(kind, value).value_of(setting_text(value)) == value


class TestAlgorithmManifest:
    def test_every_default_is_made_explicit(self):
        """
        Sorted, typed, whole; or those of one entry point.
        """
        assert manifest().resolved_settings({"epochs": "7"}) == {"dimension": 2, "epochs": 7}
        assert manifest().resolved_settings({}, stage="preprocess") == {"dimension": 2}

    def test_one_line_per_bad_setting(self):
        """
        An unknown one is told which there are.
        """
        with pytest.raises(InvalidDocument) as caught:
            manifest().resolved_settings({"epoch": 1, "dimension": 4})

        assert caught.value.lines == (
            "cnn has no setting 'epoch'; it has dimension, epochs",
            "setting 'dimension' must be one of 2, 3, got 4",
        )

    def test_a_profile_is_checked_at_once(self):
        """
        A named set of settings that could not be used is a mistake of the manifest.
        """
        with pytest.raises(
            ValidationError, match="profile 'smoke': setting 'epochs' must be at least 1, got 0"
        ):
            manifest(profiles={"smoke": {"epochs": 0}})
