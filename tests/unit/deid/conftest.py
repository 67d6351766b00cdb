"""What the tests of de-identification share."""

from collections.abc import Iterator

import pytest

from services.deid.adapters.pictures import ProcessPictures


@pytest.fixture(scope="session")
def pictures() -> Iterator[ProcessPictures]:
    """The real process that decodes pictures and finds text."""
    found = ProcessPictures()
    yield found
    found.close()
