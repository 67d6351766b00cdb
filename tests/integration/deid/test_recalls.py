"""Many packs called back, on each of the databases: interrupted, repeated, and what may be made meanwhile."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from contracts.events import CopyAbsent
from services.deid.adapters import copies, tables
from services.deid.adapters.recalls import SqlRecalls, refuse_recalled
from services.deid.adapters.tables import outbox
from services.deid.domain.facts import Result
from services.deid.domain.part10 import Project
from services.deid.domain.profile import Profile
from services.deid.domain.recall import Progress, Recall
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql import Database
from tests.integration.deid.site import identities_on
from tests.integration.deid.test_again import copy_key
from tests.unit.deid.originals import project

SITE = SiteKey(b"s" * 32)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
REASON = "CANARYREASON: the ward's name stays in a private element"


class Desk:
    """A process on the database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.identities = identities_on(database, folder, SITE)
        out = Outbox(outbox, database, Bus(ServiceSettings(), "deid"))
        self.recalls = SqlRecalls(database, out, self.identities.journal, self.identities.keys, SITE)

    async def out(
        self, pack: str, study: str, *, project: str = "research", version: str = "1", count: int = 1
    ) -> None:
        """A pack of a study is out, made under a version of the profile."""
        result = Result(
            pack_id=f"out-{pack}", manifest_sha256="0" * 64, outputs=None, withheld=(), profile="weak",
            profile_version=version, key_domains=("research",),
        )  # fmt: skip
        row = {
            "source_pack_id": pack, "project": project, "pack_id": f"out-{pack}", "edition": "2026d",
            "profile": "weak", "profile_version": version, "study_ref": study, "instances": count, "asked": 0.0,
            "released": False, "document": result.model_dump_json(),
        }  # fmt: skip
        await self.database.run(lambda connection: connection.execute(insert(tables.result), [row]))

    async def recall(self, name: str = "r1", **others: str) -> str:
        """Everything that was made under version 1 is called back."""
        one = Recall(
            name,
            **{"profile": "weak", "version": "1", "project": "", "who": "alice", **others},
            told=NOW,
            reason=REASON,
        )
        await self.recalls.open(one)
        return name

    async def finish(self, name: str) -> int:
        """Withdraw until nothing is left; how many packs."""
        total = 0
        while count := (await self.recalls.withdraw(name, NOW))[0]:
            total += count
        return total

    async def told(self) -> set[str]:
        """The packs that were told to be called back."""
        rows = await self.database.read(lambda connection: connection.execute(select(outbox.c.data)).scalars().all())
        return {json.loads(data)["pack_id"] for data in rows}

    async def left(self) -> set[str]:
        """The packs that are still out."""
        query = select(tables.result.c.source_pack_id)
        return set(await self.database.read(lambda connection: connection.execute(query).scalars().all()))

    async def progress(self) -> Progress:
        (found,) = await self.recalls.progress()
        return found


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """Nothing is out."""
    return Desk(database, tmp_path)


async def test_all_that_is_out_of_an_affected_study_goes_and_nothing_else(desk: Desk) -> None:
    """What was made under a better profile of the same study shares its key; other studies and projects stay."""
    await desk.out("a1", "A")
    await desk.out("a2", "A", version="2")
    await desk.out("b", "B", version="2")
    await desk.out("c", "C", project="other", version="2")
    await desk.out("d", "D")
    assert await desk.finish(await desk.recall()) == 3
    assert await desk.told() == {"out-a1", "out-a2", "out-d"}
    assert await desk.left() == {"b", "c"}


async def test_one_project_can_be_called_back_alone(desk: Desk) -> None:
    await desk.out("a", "A")
    await desk.out("b", "A", project="other")
    assert await desk.finish(await desk.recall(project="other")) == 1
    assert await desk.left() == {"a"}


async def test_a_recall_that_was_interrupted_is_finished_by_another_process(desk: Desk, tmp_path: Path) -> None:
    """Each study goes whole, with what is told of it, or not at all; none is told twice."""
    for number in range(5):
        await desk.out(f"p{number}", f"S{number}")
    name = await desk.recall()
    assert (await desk.recalls.withdraw(name, NOW))[0] == 1
    assert len(await desk.told()) == 1 and (await desk.progress()).state == "finding"
    other = Desk(desk.database, tmp_path)
    assert list(await other.recalls.unfinished()) == [name]
    assert await other.finish(name) == 4
    assert len(await desk.told()) == 5
    assert await other.recalls.unfinished() == []


async def test_the_same_recall_again_takes_what_came_since_and_nothing_twice(desk: Desk) -> None:
    await desk.out("a", "A")
    await desk.finish(await desk.recall())
    assert await desk.finish(await desk.recall("r2")) == 0
    await desk.out("b", "B")
    assert await desk.finish(await desk.recall("r3")) == 1


async def test_nothing_is_made_any_more_under_a_profile_that_was_called_back(desk: Desk) -> None:
    """Nor recorded of a study that was called back while it was worked on."""
    weak = _of(Profile("weak", "1"))
    better = _of(Profile("weak", "2"))
    await desk.out("a", "A")

    async def refused(using: Project, release: int) -> str | None:
        try:
            await desk.database.run(lambda connection: refuse_recalled(connection, using, "A", release))
        except RetryLater as error:
            return error.reason
        return None

    assert await refused(weak, 0) is None
    await desk.finish(await desk.recall())
    assert await refused(weak, 1) == "profile-recalled"
    assert await refused(better, 0) == "study-recalled"
    assert await refused(better, 1) is None


def _of(profile: Profile) -> Project:
    made = project()
    return Project(made.name, made.key, made.rules, made.refuse, profile)


async def test_a_recall_is_withdrawn_when_every_known_copy_is_proven_gone_and_released_when_a_successor_is(
    desk: Desk,
) -> None:
    """Proofs may come before all was found, twice, and of copies that nobody heard of before."""
    await desk.out("a", "A")
    first, second = copy_key("out-a"), copy_key("out-a").model_copy(update={"target": "remote"})
    for key in (first, second):
        await desk.database.run(lambda connection, of=key: copies.note(connection, of, proven=1.0))
    name = await desk.recall()
    await desk.finish(name)
    assert (await desk.progress()).state == "withdrawing"
    for key, level in ((first, "removed"), (first, "removed"), (second, "shredded")):
        await desk.recalls.absent(CopyAbsent(copy_key=key, recall_id=name, level=level, found=NOW))
    told = await desk.progress()
    assert (told.state, told.copies, told.absent, told.shredded) == ("withdrawn", 2, 2, 1)
    await desk.out("a", "A", version="2")
    assert (await desk.progress()).state == "withdrawn"
    row = {"pack_id": "out-a-again"}
    await desk.database.run(lambda connection: connection.execute(tables.result.update().values(row)))
    await desk.database.run(lambda connection: copies.note(connection, copy_key("out-a-again"), proven=2.0))
    assert (await desk.progress()).state == "released"


async def test_the_reason_rests_sealed_and_the_releases_are_journalled(desk: Desk, tmp_path: Path) -> None:
    """A rebuilt service knows which profiles are barred, and which study keys are used up."""
    await desk.out("a", "A")
    await desk.finish(await desk.recall())
    await desk.identities.journal.flush()
    rows: list[Any] = await desk.database.read(lambda connection: connection.execute(tables.recall.select()).all())
    kept = [str(tuple(row)) for row in rows] + [
        path.read_bytes().decode("latin-1") for path in (tmp_path / "deid").rglob("*") if path.is_file()
    ]
    assert len(kept) > 2 and "CANARYREASON" not in "".join(kept)
    empty = Database(f"sqlite:///{tmp_path}/empty.sqlite3")
    await empty.migrate("services.deid.migrations")
    again = Desk(empty, tmp_path)
    await again.identities.map.prepare()
    with pytest.raises(RetryLater, match="profile-recalled"):
        await empty.run(lambda connection: refuse_recalled(connection, _of(Profile("weak", "1")), "A", 1))
    await empty.run(lambda connection: refuse_recalled(connection, _of(Profile("weak", "2")), "A", 1))
    await empty.close()
