"""Debian's Firefox, without a screen, driven by the protocol that it has built in (Marionette).

No driver between: Playwright needs a Firefox of its own, and geckodriver is a program that Debian does not have.
A message is its length in bytes, a colon, and JSON: `[0, number, command, parameters]` there, `[1, number, error,
result]` back.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from embedded.ports import pick_port
from tests.acceptance.browsing import TIMEOUT_MS

FIREFOX = "/usr/bin/firefox-esr"
_START_SECONDS = 120
_SCRIPT_MS = 3 * TIMEOUT_MS
_PREFERENCES = {
    "media.autoplay.default": 0,  # videos with audio begin without a click
    "media.autoplay.blocking_policy": 0,
    "media.eme.enabled": False,  # no question whether to install what nothing here needs
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
# In the page itself: a script of the driver has a scope of its own, which sees no `let` and `const` of the page.
_EVALUATE = """
const [expression, given, done] = arguments;
const call = async () => window.eval(`(${expression})`)(given);
call().then((value) => done({ value }), (error) => done({ error: `${error} ${error.stack}` }));
"""


class FirefoxError(Exception):
    """Firefox or a page in it responded with an error."""


class Firefox:
    """The only window of a running Firefox. Pages are evaluated as by Playwright."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._received()  # its name
        session = self._command("WebDriver:NewSession", capabilities={})
        self.version: str = session["capabilities"]["browserVersion"]
        self._command("WebDriver:SetTimeouts", script=_SCRIPT_MS, pageLoad=TIMEOUT_MS)

    def close(self) -> None:
        with suppress(FirefoxError, OSError):
            self._command("Marionette:Quit", flags=["eForceQuit"])
        self._file.close()
        self._socket.close()

    def open(self, url: str) -> None:
        """Load a page. Raises FirefoxError."""
        self._command("WebDriver:Navigate", url=url)

    def evaluate(self, expression: str, arg: Any = None, /) -> Any:  # noqa: ANN401 - Playwright's signature
        """Call a function of JavaScript with an argument, and wait for its result. Raises FirefoxError."""
        script = {"script": _EVALUATE, "args": [expression, arg], "newSandbox": True, "sandbox": None}
        result = self._command("WebDriver:ExecuteAsyncScript", **script)["value"]
        if "error" in result:
            raise FirefoxError(result["error"])
        return result.get("value")

    def screenshot(self, *, path: Path) -> bytes:
        """Write what is visible of the page as a PNG."""
        image = base64.b64decode(self._command("WebDriver:TakeScreenshot", full=False, hash=False)["value"])
        path.write_bytes(image)
        return image

    def _command(self, name: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON
        self._number += 1
        data = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(data), data))
        while (message := self._received())[:2] != [1, self._number]:
            pass  # the response to a command whose waiting was interrupted
        _, _, error, result = message
        if error:
            raise FirefoxError(f"{name}: {error['error']}: {error['message']}")
        return result

    def _received(self) -> Any:  # noqa: ANN401 - JSON
        length = b""
        while (byte := self._file.read(1)) != b":":
            if not byte:
                raise FirefoxError("Firefox has ended")
            length += byte
        return json.loads(self._file.read(int(length)))


@contextmanager
def firefox() -> Iterator[Firefox]:
    """Start a Firefox with a profile of its own, and end it."""
    port = pick_port(taken=set())
    with tempfile.TemporaryDirectory(prefix="vodmill-firefox-", ignore_cleanup_errors=True) as folder:
        preferences = {**_PREFERENCES, "marionette.port": port}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
        Path(folder, "user.js").write_text("".join(lines), encoding="utf-8")
        command = [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", folder, "about:blank"]
        environ = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"}
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            with closing(Firefox(port)) as session:
                yield session
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
