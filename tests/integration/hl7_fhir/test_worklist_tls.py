"""The worklist over TLS: dcmtk's findscu with and without a certificate, and certificates that are read again."""

from pathlib import Path

import pytest

from services.hl7_fhir.config import Settings
from services.hl7_fhir.config.worklist import WorklistSettings
from tests.support.certificates import Authority, Issued
from tests.support.hl7 import omi
from tests.support.services import eventually
from tests.support.worklist import Desk, findscu, worklist

NAME = "0010,0010"


class Ward:
    """Modalities that trust ``authority``, and the settings of a worklist that it has a certificate for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._asked = folder, 0
        self.authority = Authority(folder)
        self.own, self.modality = self.authority.issue("localhost"), self.authority.issue("ct1")
        self.url = f"sqlite:///{folder / 'x.db'}"

    def settings(self, **other: object) -> dict[str, object]:
        """Of a port for TLS with these others."""
        files = {"cert": self.own.certificate, "key": self.own.key, "client_ca": self.authority.path}
        return {"worklist_tls_port": 0, **{f"worklist_tls_{name}": path for name, path in files.items()}, **other}

    async def ask(self, port: int, *options: object, trust: Authority | None = None) -> list[str]:
        """The names that findscu is answered with over TLS; AssertionError when it gets no association."""
        self._asked += 1
        told = [str(each) for each in ("+cf", (trust or self.authority).path, *options)]
        answers = self._folder / f"answers-{self._asked}"
        return [str(each.PatientName) for each in await findscu(port, answers, NAME, options=told, host="localhost")]

    async def ask_as(self, port: int, shown: Issued, trust: Authority | None = None) -> list[str]:
        """The same with a certificate of one's own."""
        return await self.ask(port, "+tls", shown.key, shown.certificate, trust=trust)


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)


def ports(desk: Desk) -> tuple[int, int]:
    """The plain one and that for TLS."""
    plain, secured = desk.port.ports
    return plain, secured


@pytest.mark.dcmtk
async def test_dcmtk_asks_over_tls_and_others_beside_it_without(ward: Ward, tmp_path: Path) -> None:
    async with worklist(ward.url, **ward.settings()) as desk:
        await desk.send(omi())
        plain, secured = ports(desk)
        (shown,) = await ward.ask_as(secured, ward.modality)
        (answer,) = await findscu(plain, tmp_path / "plain", NAME)
        assert str(answer.PatientName) == shown != ""


@pytest.mark.dcmtk
async def test_a_port_for_tls_may_be_the_only_one(ward: Ward) -> None:
    async with worklist(ward.url, **ward.settings(worklist_port=None)) as desk:
        await desk.send(omi())
        assert len(await ward.ask_as(desk.port.port, ward.modality)) == 1
        assert len(desk.port.ports) == 1


@pytest.mark.dcmtk
async def test_who_shows_no_certificate_or_a_strange_one_is_told_nothing(ward: Ward, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    stranger = Authority(strange, "stranger").issue("ct1")
    async with worklist(ward.url, **ward.settings()) as desk:
        await desk.send(omi())
        _, secured = ports(desk)
        with pytest.raises(AssertionError):
            await ward.ask(secured, "+tla")
        with pytest.raises(AssertionError):
            await ward.ask_as(secured, stranger)
        assert len(await ward.ask_as(secured, ward.modality)) == 1


@pytest.mark.dcmtk
async def test_a_site_may_let_modalities_without_a_certificate_ask(ward: Ward) -> None:
    async with worklist(ward.url, **ward.settings(worklist_tls_mutual=False)) as desk:
        await desk.send(omi())
        assert len(await ward.ask(ports(desk)[1], "+tla")) == 1


@pytest.mark.dcmtk
async def test_new_certificates_are_for_those_who_ask_from_then_on(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    following = Authority(tmp_path / "next", "next")
    async with worklist(ward.url, **ward.settings()) as desk:
        await desk.send(omi())
        _, secured = ports(desk)
        assert len(await ward.ask_as(secured, ward.modality)) == 1
        new = following.issue("localhost")
        ward.own.key.write_bytes(new.key.read_bytes())
        ward.own.certificate.write_bytes(new.certificate.read_bytes())

        async def is_shown() -> bool:
            try:
                return len(await ward.ask_as(secured, ward.modality, trust=following)) == 1
            except AssertionError:
                return False

        await eventually(is_shown, 30)


@pytest.mark.parametrize("settings", [{}, {"worklist_tls_cert": "x.crt", "worklist_tls_key": "x.key"}])
def test_tls_that_would_not_be_mutual_is_refused(settings: dict[str, object]) -> None:
    for made in (WorklistSettings, Settings):
        with pytest.raises(ValueError, match="CAUSEWAY_WORKLIST_TLS"):
            made.model_validate({"worklist_tls_port": 0, **settings})
