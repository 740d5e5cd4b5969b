"""Orders from the pager page in a real Chromium, as a guest would: order, order number, not ready at each visit, buzz, meal.

    python3 pager.py PAGE [FOLDER FOR SCREENSHOTS]

Chromium is driven over WebDriver, so `chromedriver` has to be on the PATH.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable
from urllib.request import Request, urlopen

PATIENCE = 30.0
LOOK = """
return [...document.querySelectorAll('.pager')].map(pager => ({
  number: pager.querySelector('.number').textContent, says: pager.querySelector('.says').textContent,
  status: pager.dataset.status, classes: [...pager.classList]}))
"""
# Buzzing is over soon, so it is written down when it begins.
LISTEN = """
window.buzzed = 0
new MutationObserver(all => all.forEach(one => one.target.classList.contains('buzzing') && window.buzzed++))
  .observe(document.body, {attributes: true, attributeFilter: ['class'], subtree: true})
"""


class Browser:
    def __init__(self, folder: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._session = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,800", f"--user-data-dir={folder}/profile"]
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}}
        opened = until("chromedriver", lambda: self._try(wanted))
        self._session += "/" + opened["sessionId"]

    def _try(self, wanted: dict[str, Any]) -> Any:
        try:
            return self.send("", wanted)
        except ConnectionError:
            return None
        except OSError as error:
            if isinstance(getattr(error, "reason", None), ConnectionError):
                return None
            raise

    def send(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._session + path, data, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def run(self, script: str) -> Any:
        return self.send("/execute/sync", {"script": script, "args": []})

    def shoot(self, folder: str, name: str) -> None:
        Path(folder, name).write_bytes(base64.b64decode(self.send("/screenshot")))

    def close(self) -> None:
        # Ended by itself, the driver would leave its browser behind.
        with urlopen(Request(self._session, method="DELETE"), timeout=60):
            pass
        self._process.terminate()
        self._process.wait()


def until(what: str, look: Callable[[], Any]) -> Any:
    """Waits for a value that counts."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if seen := look():
            return seen
        time.sleep(0.05)
    raise SystemExit(f"pager: waited in vain for {what}")


def the_only(browser: Browser) -> dict[str, Any]:
    pagers = browser.run(LOOK)
    assert len(pagers) == 1, pagers
    return pagers[0]


def main(page: str, shots: str) -> None:
    with tempfile.TemporaryDirectory(prefix="raincheck-pager.") as folder:
        browser = Browser(folder)
        try:
            browser.send("/url", {"url": page})
            browser.run("document.querySelector('#order button').click()")
            cooking = until("the kitchen", lambda: [p for p in browser.run(LOOK) if "cooking" in p["classes"]])[0]
            assert re.fullmatch("[0-9A-F]{4}", cooking["number"]), cooking
            assert cooking["says"].startswith("Not ready: "), cooking
            browser.shoot(shots, "pager-cooking.png")

            # The next visit: another load of the page knows the order by its number, and it is not ready yet.
            browser.send("/refresh", {})
            again = until("the order after a reload", lambda: [p for p in browser.run(LOOK) if p["status"]])[0]
            assert again["number"] == cooking["number"], again
            assert again["says"].startswith("Not ready: "), again
            browser.run(LISTEN)

            until("the meal", lambda: "ready" in the_only(browser)["classes"])
            assert "ramen" in the_only(browser)["says"], the_only(browser)
            until("the buzz", lambda: browser.run("return window.buzzed"))
            browser.shoot(shots, "pager-ready.png")

            # Who comes back later still has the meal, and is not buzzed again. (A buzz takes longer than this look.)
            browser.send("/refresh", {})
            again = until("the meal after a reload", lambda: [p for p in browser.run(LOOK) if "ready" in p["classes"]])[0]
            assert "buzzing" not in again["classes"], again
            browser.run("document.querySelector('.away').click()")
            assert browser.run(LOOK) == []

            # Asked to stop, the kitchen stops.
            browser.run("document.querySelector('#order button').click()")
            until("the kitchen", lambda: [p for p in browser.run(LOOK) if "cooking" in p["classes"]])
            browser.run("document.querySelector('.cancel').click()")
            until("the cancel", lambda: the_only(browser)["status"] == "canceled")
            print("pager: ordered, waited over a reload, was buzzed, ate, and canceled another")
        finally:
            browser.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    shots = sys.argv[2] if len(sys.argv) == 3 else tempfile.mkdtemp(prefix="raincheck-shots.")
    main(sys.argv[1], shots)
