"""The misbehaving proxy: stands between a client and a real raincheck, and does to each request what a case says.

    POST /_cases             a case as JSON: {"base": "/c/1"}, the path that its client has to use
    GET  /_cases/1/verdict   {"failures": [...], "requests": [...]}: whether all that the case says of the traffic is true
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from faults import FAULTS, Exchange
from wire import Message, body_of, read_head, write_head

# What a request is, by its method, its path, and whether it asks to be held.
CLASSES = [
    ("submit", "POST", r"/v1/jobs|/v1/kinds/[^/]+/jobs"),
    ("list", "GET", r"/v1/jobs"),
    ("events", "GET", r"/v1/jobs/[^/]+/events"),
    ("result", "GET", r"/v1/jobs/[^/]+/result"),
    ("cancel", "POST", r"/v1/jobs/[^/]+/cancel"),
    ("read", "GET", r"/v1/jobs/[^/]+"),
    ("schedule", "PUT", r"/v1/schedules/[^/]+"),
]


def class_of(method: str, path: str, request: Message) -> str:
    for name, wanted, pattern in CLASSES:
        if method == wanted and re.fullmatch(pattern, path):
            return "long_poll" if name == "read" and "wait=" in (request.header("prefer") or "") else name
    return "other"


class Case:
    """One run of a case by one client: its rules, and what the client asked for so far."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.left = [rule.get("times", 1) for rule in script.get("proxy", [])]
        self.requests: list[dict[str, Any]] = []
        self.first_job: list[bytes] = []

    def rule_for(self, name: str) -> dict[str, Any]:
        for at, rule in enumerate(self.script.get("proxy", [])):
            if rule["on"] == name and (self.left[at] == "always" or self.left[at] > 0):
                if self.left[at] != "always":
                    self.left[at] -= 1
                return rule
        return {"fault": "none"}


class Proxy:
    """All cases of a run. `runs` is the file to which the kind `tally` writes the id of each job it runs; `keys` are the API
    keys, by their names in the cases."""

    def __init__(self, upstream: tuple[str, int], runs: Path, keys: dict[str, str]) -> None:
        self.upstream, self.runs, self.keys = upstream, runs, keys
        self.cases: dict[str, Case] = {}
        self.numbers = itertools.count(1)
        # The event loop alone does not keep a task alive that waits for a client which has gone.
        self.tasks: set[Any] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            request = await read_head(reader)
            method, target, _ = request.first_line.split(" ")
            found = self.cases.get(target.split("/")[2]) if target.startswith("/c/") else None
            pause = found.script.get("pause_per_piece", 0.0) if found else 0.0
            pieces = []
            async for piece in body_of(reader, request, is_request=True):
                pieces.append(piece)
                await asyncio.sleep(pause)
            body = b"".join(pieces)
            if target.startswith("/_cases"):
                await self.control(method, target, body, writer)
            else:
                await self.pass_on(method, target, request, body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, as it may, or the run is over
        finally:
            self.tasks.discard(task)
            if not writer.is_closing():
                writer.close()

    async def pass_on(
        self,
        method: str,
        target: str,
        request: Message,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        found = re.fullmatch(r"/c/(\d+)(/[^?]*)(\?.*)?", target)
        if not found or found[1] not in self.cases:
            await send_json(writer, 404, {"no such case": target})
            return
        case = self.cases[found[1]]
        name = class_of(method, found[2], request)
        rule = case.rule_for(name)
        case.requests.append({
            "class": name,
            "target": found[2] + (found[3] or ""),
            "fault": rule["fault"],
            "at": time.monotonic(),
            "key": (request.header("idempotency-key") or "").strip('"') or None,
            "authorization": request.header("authorization"),
            "range": request.header("range"),
        })
        exchange = Exchange(self.upstream, found[2] + (found[3] or ""), request, body, reader, writer)
        exchange.first_job = case.first_job
        try:
            await FAULTS[rule["fault"]](exchange, rule)
        except AssertionError as failure:
            case.requests[-1]["broken"] = str(failure)
            raise
        finally:
            exchange.hang_up()

    async def control(self, method: str, target: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if method == "POST":
            number = str(next(self.numbers))
            self.cases[number] = Case(json.loads(body))
            await send_json(writer, 200, {"base": f"/c/{number}"})
        else:
            case = self.cases[target.split("/")[2]]
            await send_json(writer, 200, {"failures": await self.failures(case), "requests": case.requests})

    async def failures(self, case: Case) -> list[str]:
        """What the case says of the traffic and is not so."""
        failures = [f"the proxy could not do as the case says: {r['broken']}" for r in case.requests if "broken" in r]
        by_class: dict[str, list[dict[str, Any]]] = {}
        for request in case.requests:
            by_class.setdefault(request["class"], []).append(request)
        keys = {request["key"] for request in by_class.get("submit", [])}
        verdict = case.script.get("verdict", {})
        for what, wanted in verdict.items():
            if what == "requests":
                for name, bounds in wanted.items():
                    count = len(by_class.get(name, []))
                    if not bounds.get("at_least", 0) <= count <= bounds.get("at_most", count):
                        failures.append(f"{count} requests of class {name}, wanted: {bounds}")
            elif what == "gap":
                times = [request["at"] for request in by_class.get(wanted["on"], [])]
                gaps = [after - before for before, after in zip(times, times[1:])]
                if not gaps or min(gaps) < wanted["seconds"]:
                    failures.append(f"{gaps} s between requests of class {wanted['on']}, wanted: {wanted['seconds']}")
            elif what == "authorization":
                others = {request["authorization"] for request in case.requests} - {f"Bearer {self.keys[wanted]}"}
                if others:
                    failures.append(f"requests with another Authorization than the key {wanted}: {others}")
            elif what == "ranges":
                ranges = [request["range"] for request in by_class.get("result", [])]
                if ranges != wanted:
                    failures.append(f"results were asked for by {ranges}, wanted: {wanted}")
            elif what == "keys":
                if len(keys) != wanted or None in keys:
                    failures.append(f"{len(keys)} idempotency keys, wanted {wanted}: {keys}")
            elif what in ("jobs", "runs"):
                jobs = [job for key in keys if key for job in await self.jobs_of(key)]
                lines = self.runs.read_text().split() if self.runs.exists() else []
                count = len(jobs) if what == "jobs" else sum(line in jobs for line in lines)
                if count != wanted:
                    failures.append(f"{count} {what}, wanted {wanted}")
            else:
                failures.append(f"the verdict says {what!r}, which is not known")
        return failures

    async def jobs_of(self, key: str) -> list[str]:
        """The ids of the jobs that the server has under a key, asked behind the client's back."""
        found: list[str] = []
        cursor: Optional[str] = ""
        while cursor is not None:
            more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
            reader, writer = await asyncio.open_connection(*self.upstream)
            host = "{}:{}".format(*self.upstream)
            target = f"/v1/jobs?idempotency_key={quote(key, safe='')}{more}"
            key = f"Bearer {self.keys['usual']}"
            headers = [("Host", host), ("Authorization", key), ("Connection", "close")]
            writer.write(write_head(f"GET {target} HTTP/1.1", headers))
            head = await read_head(reader)
            page = json.loads(b"".join([piece async for piece in body_of(reader, head, is_request=False)]))
            writer.close()
            found += [job["id"] for job in page["jobs"]]
            cursor = page["next_cursor"]
        return found


async def send_json(writer: asyncio.StreamWriter, status: int, value: Any) -> None:
    body = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    writer.write(write_head(f"HTTP/1.1 {status} Control", headers) + body)
    await writer.drain()
