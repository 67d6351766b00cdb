"""QIDO-RS (PS3.18 section 10.6) and the operator's questions, over HTTP."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.catalog.adapters import locations, studies
from services.catalog.adapters.searching import search
from services.catalog.domain.attributes import Level
from services.catalog.domain.search import BadQuery, read_query
from shared.sql.database import Database

_DICOM_JSON = "application/dicom+json"

#: What a client may accept so that DICOM JSON is an answer (PS3.18 section 8.7).
_ACCEPTED = ("", "*/*", "application/*", "application/json", _DICOM_JSON)

Access = Callable[..., None]


class HttpHandlers:
    """Answers from the index. ``access`` logs who read which kind of patient data."""

    def __init__(self, *, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Every path of the service."""
        return (
            Route("/dicom-web/studies", self.studies),
            Route("/dicom-web/series", self.series),
            Route("/dicom-web/instances", self.instances),
            Route("/dicom-web/studies/{study}/series", self.series),
            Route("/dicom-web/studies/{study}/instances", self.instances),
            Route("/dicom-web/studies/{study}/series/{series}/instances", self.instances),
            Route("/api/studies", self.listing),
            Route("/api/studies/{study}/where", self.where_all),
            Route("/api/where/{instance}", self.where),
        )

    async def studies(self, request: Request) -> Response:
        """Search for studies."""
        return await self._search(request, Level.STUDY)

    async def series(self, request: Request) -> Response:
        """Search for series, of one study or of all."""
        return await self._search(request, Level.SERIES)

    async def instances(self, request: Request) -> Response:
        """Search for instances, of one series, of one study or of all."""
        return await self._search(request, Level.INSTANCE)

    async def _search(self, request: Request, level: Level) -> Response:
        if not _accepts_dicom_json(request):
            return JSONResponse({"error": f"only {_DICOM_JSON} is served"}, status_code=406)
        names = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}
        fixed = [(names[name], value) for name, value in request.path_params.items()]
        try:
            query = read_query(level, request.query_params.multi_items(), fixed)
        except BadQuery as error:
            return JSONResponse({"error": error.reason}, status_code=400)
        base = _base(request)
        found = await self._database.read(lambda connection: search(connection, query, base))
        self._access(request, resource=level.name.lower(), count=len(found))
        response = JSONResponse(found, media_type=_DICOM_JSON)
        for warning in _warnings(query.fuzzy, query.unused):
            response.headers.append("Warning", warning)
        return response

    async def listing(self, request: Request) -> Response:
        """Every study and how far it is; one alone with ``?study=UID``."""
        uid = request.query_params.get("study")
        return JSONResponse(await self._database.read(lambda connection: _overview(connection, uid)))

    async def where(self, request: Request) -> Response:
        """Where every version of one instance lies."""
        uid = request.path_params["instance"]
        document = await self._database.read(lambda connection: locations.where(connection, uid))
        self._access(request, resource="instance", count=0 if document is None else 1)
        if document is None:
            return JSONResponse({"error": "no such instance is known"}, status_code=404)
        return JSONResponse(document)

    async def where_all(self, request: Request) -> Response:
        """Where every instance of a study lies; of those without a study for ``-``."""
        study = request.path_params["study"]
        uid = None if study == "-" else study
        documents = await self._database.read(lambda connection: locations.where_all(connection, uid))
        self._access(request, resource="instance", count=len(documents))
        return JSONResponse(documents)


def _overview(connection: Connection, study_uid: str | None) -> dict[str, Any]:
    return {"studies": studies.listing(connection, study_uid), "without_study": studies.without_study(connection)}


def _accepts_dicom_json(request: Request) -> bool:
    wanted = request.headers.get("accept", "").split(",")
    return any(kind.partition(";")[0].strip() in _ACCEPTED for kind in wanted)


def _base(request: Request) -> str:
    """The URL of the DICOMweb root as the client sees it."""
    host = request.headers.get("x-forwarded-host") or request.url.netloc
    return f"{request.url.scheme}://{host}/dicom-web"


def _warnings(fuzzy: bool, unused: tuple[str, ...]) -> list[str]:
    """The warnings of PS3.18 section 10.6.3.2 (code 299 of RFC 7234)."""
    told = []
    if fuzzy:
        told.append('299 causeway "The fuzzymatching parameter is not supported. Only literal matching was performed."')
    if unused:
        told.append('299 causeway "Some query parameters are not supported at this level and were ignored."')
    return told
