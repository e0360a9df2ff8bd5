"""A headless Chromium, spoken to through a pipe in its own protocol (Chrome DevTools), with no library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """One page, and what went wrong on it: errors that it logged, answers that were errors."""

    def __init__(self, folder: Path, width: int = 1600, height: int = 1000) -> None:
        self.errors: list[str] = []
        self._number, self._rest = 0, b""
        hears, self._out = os.pipe()
        self._in, says = os.pipe()
        words = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-features=IsolateSandboxedIframes",  # what they show is read here, too
            "--remote-debugging-pipe",
            f"--user-data-dir={folder}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        # Chromium hears on descriptor 3 and says on 4, whatever these are here.
        redirected = f'exec 3<&{hears} 4>&{says}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, str(PROGRAM), *words],
            pass_fds=(hears, says),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(hears)
        os.close(says)
        [target] = [it for it in self._ask("Target.getTargets")["targetInfos"] if it["type"] == "page"]
        attach = {"targetId": target["targetId"], "flatten": True}
        self._session = self._ask("Target.attachToTarget", **attach)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, address: str) -> None:
        self._ask("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def text(self) -> str:
        """What can be read on the page, and in the pages within it."""
        return "\n".join(map(self._text_of, self._frames(self._ask("Page.getFrameTree")["frameTree"])))

    def _frames(self, tree: dict[str, Any]) -> Iterator[str]:
        yield tree["frame"]["id"]
        for child in tree.get("childFrames", ()):
            yield from self._frames(child)

    def _text_of(self, frame: str) -> str:
        world = self._ask("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
        about = {"contextId": world, "returnByValue": True}
        answer = self._ask("Runtime.evaluate", expression="document.body?.innerText ?? ''", **about)
        return str(answer["result"].get("value", ""))

    def shows(self, *texts: str, seconds: float = 120) -> None:
        """Wait until all of this can be read."""
        deadline = time.monotonic() + seconds
        while missing := [text for text in texts if text not in self.text]:
            assert time.monotonic() < deadline, f"no {missing} in:\n{self.text}"
            time.sleep(0.25)

    def click(self, text: str) -> None:
        """Click with the mouse on what is called so."""
        script = f"""(() => {{
            const all = [...document.querySelectorAll('a, button, [role=tab], [role=menuitem], span, div')];
            const found = all.filter(it => it.innerText?.trim() === {json.dumps(text)}).pop();
            found?.scrollIntoView({{block: 'center'}});
            const place = found?.getBoundingClientRect();
            return place && [place.x + place.width / 2, place.y + place.height / 2];
        }})()"""
        place = self.run(script)
        assert place, f"nothing is called {text} in:\n{self.text}"
        for kind in ("mousePressed", "mouseReleased"):
            words = {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self._ask("Input.dispatchMouseEvent", **words)

    def picture(self, path: Path) -> None:
        """Keep what is seen, as PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        os.close(self._out)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def _ask(self, method: str, **words: Any) -> Any:
        self._number += 1
        about = {"sessionId": self._session} if hasattr(self, "_session") else {}
        message = {"id": self._number, "method": method, "params": words, **about}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._hear(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self, seconds: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\0" not in self._rest:
            assert time.monotonic() < deadline, "the browser is silent"
            if select.select([self._in], [], [], 1)[0]:
                self._rest += os.read(self._in, 1 << 16)
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _hear(self, event: dict[str, Any]) -> None:
        words = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(words["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if words["type"] == "error":
                self.errors.append(str([it.get("value", it.get("description")) for it in words["args"]]))
            case "Log.entryAdded" if words["entry"]["level"] == "error":
                self.errors.append(f"{words['entry']['text']} {words['entry'].get('url', '')}")
            case "Network.responseReceived" if words["response"]["status"] >= 400:
                self.errors.append(f"{words['response']['status']} {words['response']['url']}")
