"""Destinations that want to know who we are, and that we must know: certificates both ways, and tokens."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.setup.certificates import Authority as ServerAuthority
from contracts.events import ForwardDelivered, ForwardFailed
from tests.integration.forwarding.site import ForwardingSite, StoreScp, dicom_file, eventually, expected
from tests.integration.forwarding.stow import Stow, serving
from tests.support.certificates import Authority
from tests.support.ports import free_ports


@dataclass(frozen=True)
class Papers:
    """Files: of the destination, its authority and another one; of us, and of the authority that vouches for us."""

    key: Path
    certificate: Path
    ca: Path
    other_ca: Path
    our_key: Path
    our_certificate: Path
    our_ca: Path

    def tls(self, *, known: bool = True) -> dict[str, str]:
        """What a destination is told of both sides, or of its own alone."""
        ours = {"cert_file": str(self.our_certificate), "key_file": str(self.our_key)} if known else {}
        return {"ca_file": str(self.ca), **ours}


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    folder = tmp_path / "papers"
    folder.mkdir()
    authority, ours = ServerAuthority.create("hospital"), Authority(folder, "ours")
    certificate, key = authority.issue("pacs", ("localhost", "127.0.0.1"))
    other = ServerAuthority.create("another").certificate
    contents = {"pacs.key": key, "pacs.crt": certificate, "ca.crt": authority.certificate, "other.crt": other}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    issued = ours.issue("causeway")
    return Papers(*map(folder.joinpath, contents), issued.key, issued.certificate, ours.path)


async def away(site: ForwardingSite, name: str, reason: str) -> bool:
    """Whether a destination is known to be away for this reason, and something waits for it."""
    row = await site.row(name)
    return row["away"] == reason and row["backlog"] > 0


@pytest.mark.dcmtk
async def test_a_pacs_that_demands_a_certificate_gets_all_from_us_and_nothing_without_it(
    site: ForwardingSite, storescp: Callable[..., StoreScp], papers: Papers
) -> None:
    """The certificate comes after the first attempts: the queue has waited for it, without a restart."""
    options = ["+xa", "-rc", "+cf", str(papers.our_ca), "+tls", str(papers.key), str(papers.certificate)]
    pacs = storescp("pacs", None, *options)
    hidden = papers.our_certificate.with_suffix(".later")
    papers.our_certificate.rename(hidden)
    site.destinations(
        pacs={"port": pacs.port, "tls": papers.tls()},
        unknown={"port": pacs.port, "tls": papers.tls(known=False)},
    )
    files = [dicom_file(number, size=200_000) for number in range(3)]
    async with site.running():
        await site.store(files)
        await eventually(lambda: away(site, "pacs", "credentials-unreadable"))
        await eventually(lambda: waits(site, "unknown"))
        assert pacs.data_sets() == {}
        hidden.rename(papers.our_certificate)
        (told,) = await site.until(ForwardDelivered, 1)
        assert await waits(site, "unknown")
    assert (told.destination, told.instances) == ("pacs", 3)
    assert pacs.data_sets() == expected(files)
    assert await site.dead_letters() == 0


async def test_a_stow_service_behind_https_is_believed_and_believes_us(site: ForwardingSite, papers: Papers) -> None:
    """One of whose authority we do not know gets nothing and is asked again; so does one that does not know us."""
    (port,) = free_ports(1)
    url = {"kind": "stow", "url": f"https://127.0.0.1:{port}/dicom-web", "timeout": 5}
    mine = papers.tls()
    site.destinations(
        vna={**url, "tls": mine},
        strange={**url, "tls": {**mine, "ca_file": str(papers.other_ca)}},
        public={**url},
        unknown={**url, "tls": papers.tls(known=False)},
    )
    files = [dicom_file(number, size=1_500_000) for number in range(3)]
    stow = Stow()
    demanding = {
        "ssl_keyfile": papers.key,
        "ssl_certfile": papers.certificate,
        "ssl_ca_certs": str(papers.our_ca),
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
    }
    async with serving(stow, port, **demanding), site.running():
        await site.store(files)
        (told,) = await site.until(ForwardDelivered, 1)
        for name in ("strange", "public"):
            await eventually(lambda name=name: away(site, name, "tls-refused"))
        await eventually(lambda: waits(site, "unknown"))
        papers.other_ca.write_bytes(papers.ca.read_bytes())
        await site.until(ForwardDelivered, 2)
        rows = {name: (await site.row(name))["backlog"] for name in ("vna", "strange", "public", "unknown")}
    assert (told.destination, told.instances) == ("vna", 3)
    assert rows == {"vna": 0, "strange": 0, "public": 1, "unknown": 1}
    assert stow.parts == 2 * [data for data, _ in files]
    assert await site.told(ForwardFailed) == []


async def waits(site: ForwardingSite, name: str) -> bool:
    """Whether a destination is away, and something waits for it."""
    row = await site.row(name)
    return bool(row["away"]) and row["backlog"] > 0


async def test_a_token_that_is_missing_refused_or_changed_costs_nothing_but_time(
    site: ForwardingSite, papers: Papers, tmp_path: Path
) -> None:
    """It is read for each request: whoever mends it does not restart us."""
    (port,) = free_ports(1)
    token = tmp_path / "token"
    url = f"https://127.0.0.1:{port}/dicom-web"
    tls = {"ca_file": str(papers.ca)}
    site.destinations(vna={"kind": "stow", "url": url, "timeout": 5, "token_file": str(token), "tls": tls})
    files = [dicom_file(number) for number in range(4)]
    stow = Stow(token="s3cr3t.one")
    async with serving(stow, port, ssl_keyfile=papers.key, ssl_certfile=papers.certificate), site.running():
        await site.store(files[:2])
        await eventually(lambda: away(site, "vna", "credentials-unreadable"))
        token.write_text("two\nlines\n")
        await eventually(lambda: away(site, "vna", "credentials-unreadable"))
        token.write_text("wrong\n")
        await eventually(lambda: away(site, "vna", "http-401"))
        token.write_text("s3cr3t.one\n")
        await site.until(ForwardDelivered, 1)
        stow.token = "s3cr3t.two"
        await site.store(files[2:])
        await eventually(lambda: away(site, "vna", "http-401"))
        token.write_text("s3cr3t.two\n")
        await site.until(ForwardDelivered, 2)
    assert stow.parts == [data for data, _ in files]
    assert (await site.told(ForwardFailed), await site.dead_letters()) == ([], 0)
