"""The OpenAPI document, and what happens when somebody sends all that it allows, and what it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance

from reseed.service.database.engine import Database
from tests.service.world import World, empty_world

# The body of an upload: any bytes.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


def _operations() -> list[str]:
    """METHOD path of each; the database of this application is never opened."""
    app = empty_world(Database("sqlite:////nowhere/reseed.sqlite3"), Path("/nowhere")).app
    return [
        f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods
    ]


@pytest.fixture(scope="module")
def schema(shared_world: World):
    """The document as it is served, with the application behind it."""
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", shared_world.app)


@pytest.mark.parametrize("operation", _operations())
def test_nothing_that_is_sent_makes_the_service_fail(schema, shared_world: World, operation: str):
    """No 5xx for anybody, whatever is sent; the most powerful person reaches the most code."""
    method, path = operation.split()
    token = {"Authorization": f"Bearer {shared_world.tokens['administrator']}"}

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case) -> None:
        case.call_and_validate(headers=token, checks=[not_a_server_error, content_type_conformance])

    send()


def test_every_operation_has_a_name_and_says_how_it_fails(first_world: World):
    """Clients are generated from the document."""
    document = first_world.app.openapi()
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["404"]["content"]
        assert operation["summary"]
