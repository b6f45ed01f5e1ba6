"""The families of encoders, for the tests of the model."""

import pytest

from tests.families import FAMILIES


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
