"""What dicom_ingest wants to be told before it takes anything."""

import pytest
from pydantic import ValidationError

from services.dicom_ingest.config import Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_where_modalities_reach_it_the_storage_must_be_told(host: str) -> None:
    with pytest.raises(ValidationError, match="CAUSEWAY_SPOOL_STORAGE"):
        Settings(dicom_host=host)
    assert Settings(dicom_host=host, spool_storage="redundant").spool_storage == "redundant"


def test_on_loopback_nothing_need_be_told() -> None:
    assert Settings().spool_storage is None
