"""A real browser, driven through the Chrome DevTools protocol (https://chromedevtools.github.io/devtools-protocol)."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0")  # fmt: skip


def browser() -> str:
    """The browser of this machine; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no browser: install Debian's chromium")
    return found


class Page:
    """One tab. What the page logs as an error, and what it was refused, is collected in ``complaints``."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Read what the browser says, for ever."""
        async for text in self._socket:  # ends with the browser
            told = json.loads(text)
            if "id" in told:
                self._waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "Runtime.exceptionThrown" or (
                told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error"
            ):
                self.complaints.append(json.dumps(told["params"]))

    async def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the protocol; AssertionError when it is refused."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        told = await asyncio.wait_for(answer, 30)
        assert "error" not in told, told
        return told["result"]

    async def open(self, url: str) -> None:
        """Go there."""
        await self.call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to in the page."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str, within: float = 90) -> Any:
        """The first true value of an expression; AssertionError when there is none in time."""
        deadline = asyncio.get_running_loop().time() + within
        while not (found := await self.value(expression)):
            assert asyncio.get_running_loop().time() < deadline, f"never true: {expression}; {self.complaints}"
            await asyncio.sleep(0.05)
        return found

    async def type(self, selector: str, text: str) -> None:
        """Type into a field, as a person does."""
        await self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.call("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Press the mouse on the middle of an element."""
        place = await self.value(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)});"
            " element.scrollIntoView({block: 'center'}); const box = element.getBoundingClientRect();"
            " return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, **place, button="left", clickCount=1)


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Page]:
    """A tab of a browser whose profile lies in ``folder``."""
    command = (browser(), *_SWITCHES, f"--user-data-dir={folder}", "about:blank")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        async with connect(await _tab(folder), max_size=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            try:
                yield page
            finally:
                listening.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _tab(folder: Path) -> str:
    """The address of the first tab, once the browser has written down its port."""
    deadline = asyncio.get_running_loop().time() + 60
    async with httpx.AsyncClient() as client:
        while asyncio.get_running_loop().time() < deadline:
            try:
                port = (folder / "DevToolsActivePort").read_text().split()[0]
                tabs = (await client.get(f"http://127.0.0.1:{port}/json")).json()
                return next(str(tab["webSocketDebuggerUrl"]) for tab in tabs if tab["type"] == "page")
            except (OSError, IndexError, StopIteration, httpx.TransportError):
                await asyncio.sleep(0.1)
    raise AssertionError("the browser does not start")
