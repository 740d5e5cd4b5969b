"""Runs a command with a real raincheck, embedded in a temporary folder, and the misbehaving proxy in front of it.

    python3 stage.py RAINCHECK COMMAND [ARGUMENT...]

The command finds the proxy in RAINCHECK_CASES_PROXY, for instance http://127.0.0.1:40001, the cases beside this file, and the
API keys in RAINCHECK_CASES_KEYS: a JSON object, by their names in the cases.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import tempfile
from pathlib import Path

from proxy import Proxy

HERE = Path(__file__).resolve().parent


SETTINGS = ["--config", str(HERE / "raincheck.toml")]
#: The keys of the cases, with what the server lets them do. `unknown` is one that it never made.
SCOPES = {"usual": ["jobs:write", "jobs:read"], "reader": ["jobs:read"]}
UNKNOWN = "rk_0123456789abcdef_" + "0123456789abcdef" * 4


async def make_keys(binary: Path, folder: Path) -> dict[str, str]:
    keys = {"unknown": UNKNOWN}
    for name, scopes in SCOPES.items():
        arguments = ["keys", "create", name, *(part for scope in scopes for part in ("--scope", scope)), *SETTINGS]
        process = await asyncio.create_subprocess_exec(
            str(binary), *arguments,
            cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complaints = await process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"raincheck makes no key:\n{complaints.decode(errors='replace')}")
        keys[name] = said.decode().strip()
    return keys


async def start_raincheck(binary: Path, folder: Path) -> tuple[asyncio.subprocess.Process, str, int]:
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        str(binary), "up", *SETTINGS, "--set", "http.listen=127.0.0.1:0",
        cwd=folder, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        text = (folder / "log").read_text(errors="replace")
        listening = re.search(r"listening.*addr=([0-9.]+):(\d+)", text)
        if listening:
            return process, listening[1], int(listening[2])
        if process.returncode is not None:
            break
        await asyncio.sleep(0.1)
    raise SystemExit(f"raincheck does not listen:\n{text}")


async def run(binary: Path, command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="raincheck-clients.") as name:
        folder = Path(name)
        keys = await make_keys(binary, folder)
        raincheck, host, port = await start_raincheck(binary, folder)
        try:
            proxy = Proxy((host, port), folder / "runs", keys)
            listening = socket.socket()
            # So that what the proxy does not read, the client cannot send: there is little room between them.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            listening.bind(("127.0.0.1", 0))
            server = await asyncio.start_server(proxy.serve, sock=listening)
            address = "http://127.0.0.1:{}".format(server.sockets[0].getsockname()[1])
            told = {"RAINCHECK_CASES_PROXY": address, "RAINCHECK_CASES": str(HERE), "RAINCHECK_CASES_KEYS": json.dumps(keys)}
            client = await asyncio.create_subprocess_exec(*command, env={**os.environ, **told})
            try:
                return await client.wait()
            finally:
                if client.returncode is None:
                    client.kill()
        finally:
            if raincheck.returncode is None:
                raincheck.send_signal(signal.SIGKILL)
            await raincheck.wait()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(asyncio.run(run(Path(sys.argv[1]).resolve(), sys.argv[2:])))
