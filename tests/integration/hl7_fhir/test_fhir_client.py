"""The FHIR API as a client library of others sees it: fhirpy, over HTTP and with a token."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.handlers import Fhir, Writing
from shared.http import HttpServer
from shared.settings import ServiceSettings
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.fhir_api import KEY, Api, patient, study

TOKEN = "a-token-of-twenty-four-characters-or-more"


@dataclass
class Ehr:
    """A client of a site with forty studies, one that asks for lenience, and one without a token."""

    client: AsyncFHIRClient
    lenient: AsyncFHIRClient
    stranger: AsyncFHIRClient


@pytest.fixture(params=["sqlite", "postgresql"])
async def ehr(request: pytest.FixtureRequest, tmp_path: Path, migrated: Migrated) -> AsyncIterator[Ehr]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await SearchIndex(database).build()
    api = Api(database)
    await api.put_all([("Patient", "p1", patient(1)), ("Patient", "p2", patient(2, "Roe"))])
    await api.put_all(("ImagingStudy", f"s{each}", study(each)) for each in range(1, 41))
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ehr {TOKEN}\n")
    tokens.chmod(0o600)
    routes = Fhir(SqlResources(database), KEY, datetime.now(UTC), Writing(SqlWriter(database), "own")).routes()
    server = HttpServer(ServiceSettings(http_token_file=tokens), routes=routes)
    server.start()
    base = f"http://127.0.0.1:{server.port}/fhir"
    bearer, lenience = f"Bearer {TOKEN}", {"Prefer": "handling=lenient"}
    yield Ehr(
        AsyncFHIRClient(base, authorization=bearer),
        AsyncFHIRClient(base, authorization=bearer, extra_headers=lenience),
        AsyncFHIRClient(base),
    )
    await server.stop()
    await database.close()


async def test_it_reads_and_searches(ehr: Ehr) -> None:
    found = await ehr.client.reference("Patient", "p1").to_resource()
    assert found["name"][0]["family"] == "Doe"
    studies = ehr.client.resources("ImagingStudy")
    one = await studies.search(identifier="urn:dicom:uid|urn:oid:1.2.840.99.7").get()
    assert one.id == "s7"
    assert (await one["subject"].to_resource()).id == "p1"
    counted = await studies.search(patient__identifier="urn:oid:1.2.3|P1", _summary="count").fetch_raw()
    assert counted["total"] == 40
    among = await studies.search(started__ge="2026-01-02", started__lt="2026-01-04").fetch_all()
    assert {each.id for each in among} == {"s1", "s2", "s29", "s30"}
    with pytest.raises(MultipleResourcesFound):
        await studies.search(modality="CT").get()
    with pytest.raises(ResourceNotFound):
        await ehr.client.reference("Patient", "nobody").to_resource()
    with pytest.raises(OperationOutcome):
        await studies.search(colour="red").fetch()


async def test_it_follows_pages_to_their_end(ehr: Ehr) -> None:
    for order in ("-started", "_lastUpdated"):
        found = await ehr.client.resources("ImagingStudy").search(modality="CT").sort(order).limit(7).fetch_all()
        assert sorted(each.id for each in found) == sorted(f"s{each}" for each in range(1, 41))


async def test_it_includes_what_belongs_to_the_matches(ehr: Ehr) -> None:
    bundle = await ehr.client.resources("ImagingStudy").search(_id="s1").include("ImagingStudy", "patient").fetch_raw()
    assert [each["resource"]["resourceType"] for each in bundle["entry"]] == ["ImagingStudy", "Patient"]


async def test_a_parameter_of_other_servers_is_ignored_for_a_client_that_asks_for_lenience(ehr: Ehr) -> None:
    studies = ehr.lenient.resources("ImagingStudy").search(modality="CT")
    assert await studies.count() == 40  # sends _totalMethod
    with pytest.raises(OperationOutcome):
        await ehr.client.resources("ImagingStudy").search(modality="CT").count()


async def test_it_writes_what_is_its_own(ehr: Ehr) -> None:
    made = ehr.client.resource("Patient", **patient(3, "Mine"))
    await made.save()
    assert made.id
    assert (await ehr.client.resources("Patient").search(family="mine").first()).id == made.id
    again = ehr.client.resources("Patient").search(identifier="P3")
    with pytest.raises(OperationOutcome):  # a condition in the query is no standard, and no plain create either
        await again.get_or_create(ehr.client.resource("Patient", **patient(3)))
    assert [each.id for each in await again.fetch()] == [made.id]
    with pytest.raises(OperationOutcome):
        await ehr.client.resource("Patient", gender="none").save()


async def test_without_a_token_it_gets_nothing(ehr: Ehr) -> None:
    with pytest.raises(Exception, match="not-authorized"):
        await ehr.stranger.resources("Patient").fetch()
