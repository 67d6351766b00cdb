"""The FHIR API over a real database, asked over HTTP without a socket."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Connection
from starlette.applications import Starlette

from services.hl7_fhir.adapters.resources import SqlResources, load, save
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.handlers import Fhir, Writing
from shared.identity import SiteKey
from shared.sql import Database

BASE = "http://site.example/fhir"
KEY = SiteKey(b"k" * 32)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)

Json = dict[str, Any]


@dataclass
class Api:
    """Puts resources into a database and asks for them; each change is a minute later than the one before."""

    database: Database
    allowed: str = "none"
    minutes: int = field(default=0)

    async def put(self, kind: str, resource_id: str, body: Mapping[str, Any], message_ref: str = "m1") -> None:
        """Save a resource as a message would."""
        await self.put_all([(kind, resource_id, body)], message_ref)

    async def put_all(self, resources: Iterable[tuple[str, str, Mapping[str, Any]]], message_ref: str = "m1") -> None:
        """Save resources in one transaction, a minute after each other."""
        await self.database.run(lambda connection: self._put_all(connection, resources, message_ref))

    def _put_all(self, connection: Connection, resources: Iterable[tuple[str, str, Any]], message_ref: str) -> None:
        for kind, resource_id, body in resources:
            self.minutes += 1
            save(
                connection,
                kind=kind,
                resource_id=resource_id,
                before=load(connection, kind, resource_id),
                record={},
                body={"resourceType": kind, **body},
                patient=None,
                message_ref=message_ref,
                now=BEGUN + timedelta(minutes=self.minutes),
            )

    async def ask(self, method: str, path: str, **named: Any) -> httpx.Response:
        """The answer to a request for ``path`` below /fhir."""
        api = Fhir(SqlResources(self.database), KEY, BEGUN, Writing(SqlWriter(self.database), self.allowed))
        transport = httpx.ASGITransport(Starlette(routes=list(api.routes())))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path if path.startswith("http") else BASE + path, **named)

    async def get(self, path: str, status: int = 200, **headers: str) -> Json:
        """The document that GET gives."""
        answer = await self.ask("GET", path, headers={name.replace("_", "-"): word for name, word in headers.items()})
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    async def ids(self, path: str) -> list[str]:
        """The ids of the matches on the page, in its order."""
        return ids(await self.get(path))

    async def every(self, path: str) -> list[str]:
        """The ids of the matches on all pages."""
        found: list[str] = []
        while path:
            page = await self.get(path)
            found += ids(page)
            path = link(page, "next") or ""
        return found


def ids(bundle: Json, mode: str = "match") -> list[str]:
    """The ids of the entries of a searchset."""
    return [each["resource"]["id"] for each in bundle.get("entry", ()) if each["search"]["mode"] == mode]


def link(bundle: Json, relation: str) -> str | None:
    """The URL of a link of the bundle."""
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), None)


def study(number: int, **more: Any) -> Json:
    """An ImagingStudy of one series with two instances."""
    uid = f"1.2.840.99.{number}"
    return {
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"},
            {"system": "urn:x-causeway:issuer:RIS", "value": f"ACC{number}"},
        ],
        "status": "available",
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}],
        "subject": {"reference": "Patient/p1", "type": "Patient"},
        "started": f"2026-01-{number % 28 + 1:02d}T10:00:00+01:00",
        "basedOn": [{"reference": f"ServiceRequest/o{number}"}],
        "endpoint": [{"reference": "Endpoint/web"}],
        "series": [
            {
                "uid": f"{uid}.1",
                "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
                "bodySite": {"system": "http://snomed.info/sct", "code": "51185008"},
                "instance": [
                    {
                        "uid": f"{uid}.1.{each}",
                        "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
                    }
                    for each in (1, 2)
                ],
            }
        ],
        **more,
    }


def patient(number: int = 1, family: str = "Doe", **more: Any) -> Json:
    """A Patient with one identifier and a name."""
    return {
        "identifier": [{"system": "urn:oid:1.2.3", "value": f"P{number}"}],
        "name": [{"family": family, "given": ["Jane", "Q"]}],
        "gender": "female",
        "birthDate": "1980-02-03",
        **more,
    }
