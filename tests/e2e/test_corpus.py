"""Every readable file of the big corpus comes back from each target as it was sent, and the counts agree."""

import os
import warnings
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from cli.dicom_files import Outgoing, Problem, Skipped, examine, files_below
from tests.e2e.conftest import RunningSite, dataset_digest
from tests.e2e.test_main_job import TARGETS, sent_digest

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.timeout(900), pytest.mark.slow]

#: Every so many instances are fetched from each target, all of them when CAUSEWAY_WHOLE_CORPUS is set (ten minutes).
_STEP = 16


def counted(outgoing: list[Outgoing]) -> dict[str, dict[str, set[str]]]:
    """Study → series → instances, as pydicom reads the files."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in outgoing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = dcmread(
                one.path, stop_before_pixels=True, force=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID"]
            )
        if study := str(image.get("StudyInstanceUID", "")):
            found[study][str(image.get("SeriesInstanceUID", ""))].add(one.sop_instance)
    return found


def test_the_corpus_comes_back_bit_for_bit_and_counts_as_pydicom_does(running: RunningSite, corpus: Path) -> None:
    looked_at = [examine(path) for path in files_below([corpus / "dicom"])]
    outgoing = [one for one in looked_at if isinstance(one, Outgoing)]
    assert not [one for one in looked_at if not isinstance(one, Outgoing | Problem | Skipped)]
    running.send([one.path for one in outgoing])
    running.until_archived(within=600)
    digests: dict[str, set[str]] = defaultdict(set)
    for one in outgoing:
        digests[one.sop_instance].add(sent_digest(one))
    step = 1 if "CAUSEWAY_WHOLE_CORPUS" in os.environ else _STEP
    for uid, sent in list(digests.items())[::step]:
        document = running.where(uid)
        assert sent <= {version["dataset_sha256"] for version in document["versions"]}, uid
        for target in TARGETS:
            for digest in sent:
                assert dataset_digest(running.fetch(uid, target, digest)) == digest, (uid, target)
    studies = counted(outgoing)
    base = f"{running.site.endpoints()['http']}/dicom-web"
    for study, series in studies.items():
        found = httpx.get(f"{base}/studies/{study}/instances", timeout=30).json()
        by_series = defaultdict(set)
        for instance in found:
            by_series[instance["0020000E"].get("Value", [""])[0]].add(instance["00080018"]["Value"][0])
        assert by_series == series, study
    assert running.dead_letters() == 0
