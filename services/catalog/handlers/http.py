"""QIDO-RS (PS3.18 section 10.6) and the operator's questions, over HTTP."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.catalog.domain.attributes import Level
from services.catalog.domain.search import BadQuery, Search, read_query
from services.catalog.ports import Questions

_DICOM_JSON = "application/dicom+json"

#: What a client may accept so that DICOM JSON is an answer (PS3.18 section 8.7).
_ACCEPTED = ("", "*/*", "application/*", "application/json", _DICOM_JSON)

Access = Callable[..., None]


class HttpHandlers:
    """Answers from the index. ``access`` logs who read which kind of patient data."""

    def __init__(self, *, questions: Questions, access: Access) -> None:
        self._questions = questions
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
        found, has_more = await self._questions.search(query, _base(request))
        self._access(request, resource=level.name.lower(), count=len(found))
        response = JSONResponse(found, media_type=_DICOM_JSON)
        for warning in _warnings(query, has_more):
            response.headers.append("Warning", warning)
        return response

    async def listing(self, request: Request) -> Response:
        """Every study and how far it is; one alone with ``?study=UID``."""
        return JSONResponse(await self._questions.overview(request.query_params.get("study")))

    async def where(self, request: Request) -> Response:
        """Where every version of one instance lies."""
        document = await self._questions.where(request.path_params["instance"])
        self._access(request, resource="instance", count=0 if document is None else 1)
        if document is None:
            return JSONResponse({"error": "no such instance is known"}, status_code=404)
        return JSONResponse(document)

    async def where_all(self, request: Request) -> Response:
        """Where every instance of a study lies; of those without a study for ``-``."""
        study = request.path_params["study"]
        documents = await self._questions.where_all(None if study == "-" else study)
        self._access(request, resource="instance", count=len(documents))
        return JSONResponse(documents)


def _accepts_dicom_json(request: Request) -> bool:
    wanted = request.headers.get("accept", "").split(",")
    return any(kind.partition(";")[0].strip() in _ACCEPTED for kind in wanted)


def _base(request: Request) -> str:
    """The URL of the DICOMweb root as the client sees it."""
    host = request.headers.get("x-forwarded-host") or request.url.netloc
    return f"{request.url.scheme}://{host}/dicom-web"


def _warnings(query: Search, has_more: bool) -> list[str]:
    """The warnings of PS3.18 sections 8.3.4.4 and 10.6.3 (code 299 of RFC 7234)."""
    told = {
        "The fuzzymatching parameter is not supported. Only literal matching was performed.": query.fuzzy,
        "Some query parameters are not supported at this level and were ignored.": query.unused,
        "There are additional results that can be requested.": has_more,
    }
    return [f'299 causeway "{text}"' for text, holds in told.items() if holds]
