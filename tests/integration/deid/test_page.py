"""The page on which people decide, in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from contracts.events import PackDeidentified
from tests.integration.deid.site import PLAN, DeidSite, study
from tests.support.browser import Page, browsing
from tests.support.instances import CANARY
from tests.support.packs import planned
from tests.support.ports import free_ports

TOKEN = "a-token-of-twenty-four-characters"
ROWS = "document.querySelectorAll('#rows tr').length"
SHOWN = "!document.querySelector('#entry').hidden && document.querySelector('#title').textContent"


@asynccontextmanager
async def opened(site: DeidSite, tmp_path: Path) -> AsyncIterator[tuple[Page, str]]:
    """The page, before anybody has a token; and its address."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"privacy-officer {TOKEN}\n")
    tokens.chmod(0o600)
    (port,) = free_ports(1)
    async with site.running("deid", http_port=port, http_token_file=tokens), browsing(tmp_path / "browser") as page:
        batch = await site.batch_of(study())
        await site.say(planned([batch], PLAN), "plan")
        await site.until(PackDeidentified, lambda found: len(found) == 1)
        address = f"http://127.0.0.1:{port}/quarantine"
        await page.open(address)
        await page.until("document.readyState === 'complete' && !document.querySelector('#door').hidden")
        yield page, address


async def enter(page: Page) -> None:
    """With the token."""
    await page.type("#token", TOKEN)
    await page.click("#door button")
    await page.until(ROWS)


async def test_a_person_looks_and_approves(site: DeidSite, tmp_path: Path) -> None:
    """From the token to the part that goes out: both pictures are seen, and the decision has a name."""
    async with opened(site, tmp_path) as (page, _):
        assert await page.value(ROWS) == 0
        await enter(page)
        assert "pixels-unproven" in await page.value("document.querySelector('#rows').textContent")
        await page.click("#rows tr")
        await page.until(SHOWN)
        for side in ("before", "after"):
            await page.until(f"document.querySelector('#{side}').naturalWidth === 16")
        header = await page.value("document.querySelector('#elements').textContent")
        assert "(0012,0062)" in header
        assert CANARY.patient_id not in header
        await page.click("#approve")
        assert await page.value("document.querySelector('#why').matches(':invalid')")
        await page.type("#why", "nothing to be seen <b>on it</b>")
        await page.click("#approve")
        await page.until("document.querySelector('#message').textContent.endsWith('approved')")
        told = await page.value("document.querySelector('#decisions').textContent")
        assert "privacy-officer: approve, approved – nothing to be seen <b>on it</b>" in told
        await page.click("#back")
        await page.until("document.querySelector('#total').textContent === '0 in all'")
        # One complaint only: the list was asked for before there was a token.
        assert [one for one in page.complaints if "401" not in one] == []
    assert [one.part for one in await site.said(PackDeidentified)] == [0, 1]


async def test_a_rejection_and_what_cannot_be_done_any_more(site: DeidSite, tmp_path: Path) -> None:
    async with opened(site, tmp_path) as (page, address):
        await enter(page)
        await page.click("#rows tr")
        await page.until(SHOWN)
        entry = (await page.value(SHOWN)).removeprefix("Entry ")
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as other:
            api = address.replace("/quarantine", f"/api/quarantine/{entry}")
            assert (await other.post(api, json={"action": "reject", "reason": "a name is on it"})).status_code == 200
        await page.type("#why", "looks well")
        await page.click("#approve")
        await page.until("document.querySelector('#message').textContent === 'Refused: already-rejected'")
    assert [one.part for one in await site.said(PackDeidentified)] == [0]


async def test_a_token_that_is_none_opens_nothing(site: DeidSite, tmp_path: Path) -> None:
    async with opened(site, tmp_path) as (page, address):
        await page.type("#token", "another-token-of-twenty-four")
        await page.click("#door button")
        await page.until("sessionStorage.length === 0 && !document.querySelector('#door').hidden")
        assert await page.value(ROWS) == 0
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.get(address.replace("/quarantine", "/api/quarantine"))).status_code == 401
            assert (await nobody.get(f"{address}/page.js/../x")).status_code == 401
            answer = await nobody.get(address)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "<script>" not in answer.text
            assert " on" + "click" not in answer.text


async def test_the_page_runs_nothing_that_is_not_its_own(site: DeidSite, tmp_path: Path) -> None:
    """Its policy holds in the browser: an inline script does not run."""
    async with opened(site, tmp_path) as (page, _):
        await page.value(
            "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';"
            " document.body.append(s); })()"
        )
        assert await page.value("window.ran === undefined")
        assert any("Content Security Policy" in one for one in page.complaints)
