"""Runs a command with a real raincheck, embedded in a temporary folder, and the misbehaving proxy in front of it.

    python3 stage.py RAINCHECK COMMAND [ARGUMENT...]

The command finds the proxy in RAINCHECK_CASES_PROXY, for instance http://127.0.0.1:40001, and the cases beside this file.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from proxy import Proxy

HERE = Path(__file__).resolve().parent


async def start_raincheck(binary: Path, folder: Path) -> tuple[asyncio.subprocess.Process, str, int]:
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        str(binary), "up", "--config", str(HERE / "raincheck.toml"), "--set", "http.listen=127.0.0.1:0",
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
        raincheck, host, port = await start_raincheck(binary, folder)
        try:
            proxy = Proxy((host, port), folder / "runs")
            server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
            address = "http://127.0.0.1:{}".format(server.sockets[0].getsockname()[1])
            client = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, "RAINCHECK_CASES_PROXY": address, "RAINCHECK_CASES": str(HERE)}
            )
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
