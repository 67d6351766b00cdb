"""The identity map on each database: pseudonyms that stay, what rests sealed, and the journal that makes it again."""

import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from contracts.events import PatientMerged
from contracts.formats.keys import FileKeyEncryptionKeys
from services.deid.adapters import tables
from services.deid.adapters.people import SqlPeople
from services.deid.adapters.projects import key_of, random_pseudonym
from services.deid.domain.documents import Identity
from services.deid.domain.journal import Disclosure, Undone
from services.deid.domain.profile import LegalBasis, Profile
from services.deid.domain.pseudonyms import ProjectKey, RandomKey
from shared.errors import Unprocessable
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.sql import Database
from tests.integration.deid.site import identities_on

SECRET = bytes(range(32))
SITE = SiteKey(b"s" * 32)
SAFE_HARBOR = Profile("strict", legal_basis=LegalBasis.SAFE_HARBOR)
KEYED = Profile("keyed")

#: Who went out: a patient, and a study of theirs.
ALICE = (
    Identity("patient", "HOSP", "MRN-4711", "PAAAA", SITE.patient_token("HOSP", "MRN-4711")),
    Identity("study", "", "1.2.840.99.1", "2.25.1"),
)


def given(database: Database, profile: Profile, issuer: str, patient_id: str, study: str = "1.2") -> str:
    """What a process that starts now gives a patient."""
    key = key_of(SECRET, profile, SqlPeople(database, "research"))
    return key.patient(issuer, patient_id, study, SITE.patient_token(issuer, patient_id))


def merged(survivor: tuple[str, str], other: tuple[str, str]) -> PatientMerged:
    """What hl7_fhir says of an A40."""
    return PatientMerged(
        patient_ref="r1", merged_ref="r2",
        patient_token=SITE.patient_token(*survivor), merged_token=SITE.patient_token(*other),
    )  # fmt: skip


async def test_a_keyed_pseudonym_is_that_of_the_key_alone(database: Database) -> None:
    """The map makes no difference until somebody is merged, so files without a bus come to the same."""
    found = await in_thread(given, database, KEYED, "HOSP", "P1")
    assert found == ProjectKey(SECRET).patient("HOSP", "P1", "1.2")


async def test_a_random_pseudonym_is_derived_from_nothing_and_stays(database: Database) -> None:
    """45 CFR 164.514(c): another for every patient, the same for ever; another site gives another."""
    first = await in_thread(given, database, SAFE_HARBOR, "HOSP", "P1")
    assert await in_thread(given, database, SAFE_HARBOR, "HOSP", "P1", "1.3") == first
    assert await in_thread(given, database, SAFE_HARBOR, "OTHER", "P1") != first
    assert first != ProjectKey(SECRET).patient("HOSP", "P1", "1.2")
    assert len(first) == 16


async def test_a_random_uid_is_derived_from_nothing_and_stays(database: Database) -> None:
    """45 CFR 164.514(c) again: in a process that starts later the same, from a map that was lost another one."""
    first, again = [key_of(SECRET, SAFE_HARBOR, SqlPeople(database, "research")) for _ in range(2)]
    other = key_of(SECRET, SAFE_HARBOR, SqlPeople(database, "elsewhere"))
    found = await in_thread(first.uid, "1.2.3")
    assert found.startswith("2.25.") and int(found.removeprefix("2.25.")) < 1 << 128
    await in_thread(again.expect, ("1.2.3", "1.2.4"))
    assert await in_thread(again.uid, "1.2.3") == found
    assert len({found, ProjectKey(SECRET).uid("1.2.3"), await in_thread(other.uid, "1.2.3")}) == 3
    assert await in_thread(again.uid, "1.2.4") != found


async def test_replicas_that_draw_at_once_draw_the_same(database: Database) -> None:
    """Eight replicas, each with its own part of a study and all of its references, in an order of their own."""

    def drawn(start: int) -> list[str]:
        key = key_of(SECRET, SAFE_HARBOR, SqlPeople(database, "research"))
        key.expect(f"1.2.{start * 10 + number}" for number in range(40))
        return [key.uid(f"1.2.{number}") for number in range(110)]

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(drawn, start) for start in range(8)]]
    assert all(each == found[0] for each in found)
    assert len(set(found[0])) == 110


async def test_a_key_that_remembers_little_tells_the_same(database: Database) -> None:
    """What is forgotten in memory is looked up anew."""
    key = RandomKey(SECRET, SqlPeople(database, "research"), random_pseudonym, most=3)
    first = [await in_thread(key.uid, f"1.2.{number}") for number in range(9)]
    assert [await in_thread(key.uid, f"1.2.{number}") for number in range(9)] == first


async def test_without_a_map_nothing_is_given_where_ids_must_be_random() -> None:
    """A keyed one would be no safe harbour."""
    with pytest.raises(Unprocessable, match="safe-harbor-needs-a-map"):
        key_of(SECRET, SAFE_HARBOR, None)


async def test_replicas_that_give_at_once_give_the_same(database: Database) -> None:
    """Twenty patients, eight processes' worth of maps, all at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        asked = [(f"P{number}", pool.submit(given, database, SAFE_HARBOR, "H", f"P{number}")) for number in range(20)]
        asked += [(name, pool.submit(given, database, SAFE_HARBOR, "H", name)) for name, _ in list(asked) * 7]
        found = {(name, future.result()) for name, future in asked}
    assert len(found) == 20
    assert len({pseudonym for _, pseudonym in found}) == 20


async def test_two_patients_whose_headers_look_alike_are_told_apart_by_their_match_tokens(database: Database) -> None:
    """The same ID without an issuer from two peers that stand for two hospitals."""
    keys = [key_of(SECRET, KEYED, SqlPeople(database, "research")) for _ in range(2)]
    tokens = [SITE.patient_token(issuer, "P1") for issuer in ("NORTH", "SOUTH")]
    one, other = [await in_thread(key.patient, "", "P1", "1.2", token) for key, token in zip(keys, tokens, strict=True)]
    assert one != other
    assert await in_thread(given, database, KEYED, "NORTH", "P1") == one


async def test_ids_that_stand_for_none_join_nobody(database: Database) -> None:
    """Each study is somebody of its own."""
    one, other = [await in_thread(given, database, SAFE_HARBOR, "", "UNKNOWN", study) for study in ("1.2", "1.3")]
    assert one != other


async def test_a_merged_patient_goes_out_as_the_survivor(database: Database, tmp_path: Path) -> None:
    """Pseudonym and with it the shift of dates, from the merge on; in a chain as well, and until it is taken back."""
    made = identities_on(database, tmp_path, SITE)
    await in_thread(given, database, KEYED, "H", "B")
    await in_thread(given, database, KEYED, "H", "C")
    keyed = {name: ProjectKey(SECRET).patient("H", name, "1.2") for name in "ABC"}
    assert await made.merges.hear(merged(("H", "C"), ("H", "B")), 20.0)
    assert await made.merges.hear(merged(("H", "B"), ("H", "A")), 10.0)
    assert await in_thread(given, database, KEYED, "H", "A") == keyed["C"]
    assert await in_thread(given, database, KEYED, "H", "B") == keyed["C"]
    assert await made.merges.undo(Undone("u1", SITE.patient_token("H", "B"), "alice", 30.0, "two people"))
    assert await in_thread(given, database, KEYED, "H", "A") == keyed["B"]
    assert not await made.merges.hear(merged(("H", "C"), ("H", "B")), 20.0)
    assert await in_thread(given, database, KEYED, "H", "B") == keyed["B"]
    assert await made.merges.hear(merged(("H", "C"), ("H", "B")), 40.0)
    assert await in_thread(given, database, KEYED, "H", "B") == keyed["C"]


async def test_a_survivor_who_was_never_seen_takes_over_the_pseudonym(database: Database, tmp_path: Path) -> None:
    """What is out of the one and what will be of the other belong together."""
    made = identities_on(database, tmp_path, SITE)
    before = await in_thread(given, database, SAFE_HARBOR, "H", "OLD")
    await made.merges.hear(merged(("H", "NEW"), ("H", "OLD")), 10.0)
    assert await in_thread(given, database, SAFE_HARBOR, "H", "OLD") == before
    assert await in_thread(given, database, SAFE_HARBOR, "H", "NEW") == before


async def test_the_map_leads_back_and_rests_sealed(database: Database, tmp_path: Path) -> None:
    """By pseudonym and by new UID; whoever has the database reads no original."""
    made = identities_on(database, tmp_path, SITE)
    await database.run(lambda connection: made.map.add(connection, "research", "pack", iter(ALICE)))
    assert [one.original for one in await made.map.find("research", "PAAAA")] == ["MRN-4711"]
    assert [one.original for one in await made.map.find("research", "2.25.1")] == ["1.2.840.99.1"]
    assert await made.map.find("other", "PAAAA") == []
    rows = await database.read(
        lambda connection: [
            str(tuple(row)) for table in tables.metadata.sorted_tables for row in connection.execute(table.select())
        ]
    )
    await made.map.flush()
    kept = "".join(rows) + "".join(_bytes(tmp_path))
    assert "4711" not in kept and "840.99" not in kept and "HOSP" not in kept


def _bytes(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".key":
            yield path.read_bytes().decode("latin-1")


async def test_a_map_moves_under_a_key_encryption_key_and_on_to_the_next(database: Database, tmp_path: Path) -> None:
    """Rotation wraps the data key anew; without the old one the rows stay readable."""
    made = identities_on(database, tmp_path, SITE)
    await database.run(lambda connection: made.map.add(connection, "research", "pack", iter(ALICE)))
    keks = FileKeyEncryptionKeys(tmp_path / "kek")
    first = keks.create("identity")
    assert len(await made.map.find("research", "PAAAA")) == 1
    (tmp_path / "kek" / "identity.kek").rename(tmp_path / "kek" / f"identity.{first}.kek")
    second = keks.create("identity")
    assert len(await made.map.find("research", "PAAAA")) == 1
    (tmp_path / "kek" / f"identity.{first}.kek").unlink()
    assert len(await made.map.find("research", "PAAAA")) == 1
    query = text("SELECT kek_id FROM map_key WHERE project = 'research'")
    assert await database.read(lambda connection: connection.execute(query).scalar_one()) == second != first


@pytest.fixture
async def empty(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Another database, with nothing in it."""
    made = Database(f"sqlite:///{tmp_path}/empty.sqlite3")
    await made.migrate("services.deid.migrations")
    yield made
    await made.close()


async def test_the_journal_makes_an_empty_database_what_the_lost_one_was(
    database: Database, empty: Database, tmp_path: Path
) -> None:
    """Random pseudonyms and UIDs, who became whom, merges and who was told: all of it, and once only."""
    made = identities_on(database, tmp_path, SITE)
    people = SqlPeople(database, "research", made.journal)
    key = key_of(SECRET, SAFE_HARBOR, people)
    random = await in_thread(key.patient, "H", "P1", "1.2", SITE.patient_token("H", "P1"))
    uid = await in_thread(key.uid, "1.2.3")
    await database.run(lambda connection: made.map.add(connection, "research", "pack", iter(ALICE)))
    await made.merges.hear(merged(("H", "P1"), ("H", "P2")), 10.0)
    await made.merges.hear(merged(("H", "P1"), ("H", "P3")), 10.0)
    await made.merges.undo(Undone("u1", SITE.patient_token("H", "P3"), "bob", 20.0, "P3 is somebody else"))
    await made.map.disclose("research", Disclosure("d" * 32, "export", "alice", 5.0, 2, "an audit"))
    again = identities_on(empty, tmp_path, SITE)
    await again.map.prepare()
    assert await in_thread(given, empty, SAFE_HARBOR, "H", "P1") == random
    assert await in_thread(given, empty, SAFE_HARBOR, "H", "P2") == random
    assert await in_thread(given, empty, SAFE_HARBOR, "H", "P3") != random
    assert await in_thread(key_of(SECRET, SAFE_HARBOR, SqlPeople(empty, "research")).uid, "1.2.3") == uid
    assert [one.original for one in await again.map.find("research", "PAAAA")] == ["MRN-4711"]
    query = text("SELECT who FROM disclosure")
    assert await empty.read(lambda connection: connection.execute(query).scalar_one()) == "alice"
    undone = await empty.read(lambda connection: connection.execute(tables.undone_merge.select()).one())
    assert (undone.id, undone.person, undone.who) == ("u1", SITE.patient_token("H", "P3"), "bob")
    assert b"somebody" not in undone.sealed
    assert await again.journal.rebuild(again.map.apply) == 0


async def test_what_was_kept_in_plain_text_is_sealed_at_the_start(database: Database, tmp_path: Path) -> None:
    """The rows of earlier versions, read as before afterwards."""
    row = {
        "project": "research", "kind": "patient", "token": "t", "issuer": "HOSP", "original": "MRN-4711",
        "replacement": "PAAAA",
    }  # fmt: skip
    await database.run(lambda connection: connection.execute(insert(tables.identity_plain), [row]))
    made = identities_on(database, tmp_path, SITE)
    await made.map.prepare()
    assert [one.original for one in await made.map.find("research", "PAAAA")] == ["MRN-4711"]
    left = await database.read(lambda connection: connection.execute(tables.identity_plain.select()).all())
    assert left == []
    await database.close()
    assert b"4711" not in b"".join(path.read_bytes() for path in tmp_path.glob("deid.sqlite3*"))


async def test_what_is_out_of_a_merged_patient_is_listed(database: Database, tmp_path: Path) -> None:
    """With the pseudonym of then and that of now, and the packs; what was right all along is not."""
    made = identities_on(database, tmp_path, SITE)
    names = {name: await in_thread(given, database, KEYED, "H", name) for name in ("KEPT", "GONE")}
    for name, pack in (("KEPT", "s1"), ("GONE", "s2")):
        token = SITE.patient_token("H", name)
        found = iter([Identity("patient", "H", name, names[name], token)])
        await database.run(lambda connection, of=found, pack=pack: made.map.add(connection, "research", pack, of))
        result = {
            "source_pack_id": pack, "project": "research", "pack_id": f"out-{pack}", "edition": "2026d",
            "asked": 0.0, "released": False, "document": json.dumps({}),
        }  # fmt: skip
        await database.run(lambda connection, row=result: connection.execute(insert(tables.result), [row]))
    assert await made.merges.outdated() == []
    await made.merges.hear(merged(("H", "KEPT"), ("H", "GONE")), 10.0)
    (found,) = await made.merges.outdated()
    assert (found.pseudonym, found.now, found.packs) == (names["GONE"], names["KEPT"], ("out-s2",))
