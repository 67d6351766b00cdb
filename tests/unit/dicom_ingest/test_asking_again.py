"""Requests for commitment that are made again: elsewhere, or when their report is forgotten."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.events import CommitmentDecided, CommitmentRequested
from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.domain.commitment import Asked
from tests.unit.dicom_ingest.test_commitment import CT, decision, request

ASKED = request(Asked("1.2.9", ((CT, "1.2.3"),)))
DAY = timedelta(days=1)


def again(days: int) -> CommitmentRequested:
    return ASKED.model_copy(update={"requested": ASKED.requested + days * DAY, "peer": "ab" * 16})


def answer(asked: CommitmentRequested) -> CommitmentDecided:
    """The ledger's answer to a request."""
    told = {"requested": asked.requested, "decided": asked.requested + DAY / 24, "peer": asked.peer}
    return decision(asked.commitment_id).model_copy(update=told)


@pytest.mark.parametrize("end", [CommitmentFiles.reported, CommitmentFiles.give_up])
def test_a_request_that_was_made_again_at_another_spool_is_reported_by_whichever_hears_of_it(
    tmp_path: Path, end: Callable[[CommitmentFiles, str], None]
) -> None:
    files, name = CommitmentFiles(tmp_path), ASKED.commitment_id
    files.decide(answer(ASKED))
    end(files, name)
    files.decide(answer(ASKED))
    assert files.decided() == [], "the event came again"
    files.decide(answer(again(3)))
    assert files.decided() == [name]
    with files.hold(name) as held:
        assert held == answer(again(3)), "with its own times: it is tried for as long as a new one"
        files.reported(name)
    files.decide(answer(again(3)))
    assert files.decided() == []
    assert [path.suffix for path in files.folder.iterdir()] == [".reported"]


def test_what_was_reported_to_a_request_that_was_made_again_here_answers_all_before_it(tmp_path: Path) -> None:
    files, name = CommitmentFiles(tmp_path), ASKED.commitment_id
    files.decide(answer(ASKED))
    files.reported(name)
    files.keep(again(3), None)
    with files.hold(name) as held:
        assert held is not None
        assert (held.requested, held.peer) == (again(3).requested, "ab" * 16), "the peer that asked last is called"
        files.reported(name)
    files.decide(answer(again(2)))
    assert files.decided() == []


def test_a_request_whose_report_is_forgotten_is_asked_of_the_ledger_again(tmp_path: Path) -> None:
    files, name = CommitmentFiles(tmp_path), ASKED.commitment_id
    files.decide(answer(ASKED))
    files.reported(name)
    files.forget(-1)
    files.keep(again(8), None)
    assert files.asked() == [(again(8), None)]
    files.told(name)
    files.decide(answer(again(8)))
    assert files.decided() == [name]
