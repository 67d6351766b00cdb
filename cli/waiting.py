"""Whether a study, or everything, is as far as somebody wants it: what is missing, in words."""

import asyncio
from enum import StrEnum
from typing import Any

from nats.js.errors import APIError

from cli.api import Api, ApiError
from cli.bus import BusDown, progress
from cli.site import Site, SiteDown
from contracts.events import BatchStored
from shared.messaging.names import durable


class State(StrEnum):
    """What can be waited for."""

    completed = "completed"
    archived = "archived"


class Waiting:
    """One study, or everything when ``study`` is None, on its way to ``state``.

    What was acknowledged lies in the spool first, then in the stream, then in the index. It is followed in this order:
    what left one place is looked for in the next, so that nothing is overlooked in between.
    """

    def __init__(self, site: Site, api: Api, study: str | None, state: State) -> None:
        self._site = site
        self._api = api
        self._study = study
        self._state = state
        self._mark: int | None = None

    def missing(self) -> list[str]:
        """What is not there yet; nothing when all is as asked. ApiError, BusDown or SiteDown while nobody answers."""
        return self._in_spool() or self._in_stream() or self._in_index()

    def _in_spool(self) -> list[str]:
        of = {} if self._study is None else {"study": self._study}
        spooled = self._api.get("/api/spool", **of)["batches"]
        if spooled:
            self._mark = None
        return [f"{spooled} landing batches are in the spool"] if spooled else []

    def _in_stream(self) -> list[str]:
        """Whether the index has read everything that was in the stream when the spool was empty."""
        consumer = durable("catalog", BatchStored.subject)
        seen = asyncio.run(progress(self._site, BatchStored.stream(), consumer))
        if self._mark is None:
            self._mark = seen.newest
        if seen.behind and seen.settled < self._mark:
            return [f"{seen.behind} landing batches are not registered"]
        return []

    def _in_index(self) -> list[str]:
        listed = self._api.get("/api/studies", **({} if self._study is None else {"study": self._study}))
        if self._study is not None and not listed["studies"]:
            return ["the study is not known yet"]
        missing = [f"study {one['study_ref'][:12]} is {one['state']}" for one in listed["studies"] if self._lacks(one)]
        nobodys = listed["without_study"]["batches_open"]
        if self._study is None and self._state is State.archived and nobodys:
            missing.append(f"{nobodys} batches without a study are open")
        return missing

    def _lacks(self, study: dict[str, Any]) -> bool:
        if study["instances"] != study["told"]:
            return True
        if self._state is State.completed:
            return study["state"] not in ("completed", "archived")
        return study["state"] != "archived" or bool(study["batches_open"])


def look(waiting: Waiting) -> list[str]:
    """What is missing, or why nobody can say so now."""
    try:
        return waiting.missing()
    except (ApiError, BusDown, SiteDown) as error:
        return [str(error)]
    except APIError as error:
        return [f"the bus refuses: {error.description or type(error).__name__}"]
