"""Schedules: what the server makes jobs by, and when the next ones come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional
from urllib.parse import quote, urlencode

from .errors import ApiError
from .handle import JobHandle
from .retry import Caller, Garbled, document
from .transport import Answer


@dataclass(frozen=True)
class NextRun:
    """A run to come."""

    #: RFC 3339, in UTC.
    at: str
    #: The same as the clock of the schedule's time zone shows it.
    local: str


@dataclass(frozen=True)
class Schedule:
    """A schedule as it was when it was read. `raw` has everything the API says about it."""

    name: str
    #: `[ZONE] MINUTE HOUR DAY MONTH WEEKDAY`.
    cron: str
    kind: str
    #: Whether it makes no jobs at the moment. A preview is not paused.
    paused: bool
    #: Its next runs, soonest first.
    next: list[NextRun]
    raw: Mapping[str, Any]


class Schedules:
    """The schedules of a server: `client.schedules`."""

    def __init__(self, caller: Caller, trigger: Callable[[str, Optional[str]], JobHandle]) -> None:
        self._caller, self._trigger = caller, trigger

    def list(self) -> list[Schedule]:
        """All of them, by name, each with its next run, unless it is paused."""
        schedules: list[Schedule] = []
        cursor: Optional[str] = None
        while True:
            query = urlencode({"limit": 100, **({"cursor": cursor} if cursor else {})})
            page, cursor = self._caller.call("GET", f"/v1/schedules?{query}", _read_page)
            schedules += page
            if cursor is None:
                return schedules

    def get(self, name: str, runs: int = 5) -> Schedule:
        """One of them, with so many next runs."""
        return self._caller.call("GET", f"{_path(name)}?runs={runs}", _read)

    def put(
        self, name: str, cron: str, kind: str, input: Any = None, *, options: Optional[Mapping[str, Any]] = None
    ) -> Schedule:
        """Makes it, or makes what there is of that name into it. `cron` such as `Europe/Zurich 0 7 * * 1-5`; without a zone it
        is UTC. `options` are the other fields of `PUT /v1/schedules/{name}`, such as `{"catch_up": "all", "tags": ["daily"]}`."""
        return self._put(name, {**(options or {}), "cron": cron, "kind": kind, "input": input})

    def preview(
        self, name: str, cron: str, kind: str, input: Any = None, *, options: Optional[Mapping[str, Any]] = None
    ) -> Schedule:
        """What `put` would make, and when that would run. Nothing is kept."""
        return self._put(name, {**(options or {}), "cron": cron, "kind": kind, "input": input, "validate_only": True})

    def pause(self, name: str) -> Schedule:
        """Lets it make no jobs until it is resumed."""
        return self._post(name, "pause")

    def resume(self, name: str) -> Schedule:
        """Lets it go on with the next tick after the present."""
        return self._post(name, "resume")

    def trigger(self, name: str, *, idempotency_key: Optional[str] = None) -> JobHandle:
        """A job of it now, beside its ticks. Sent again after any fault, it is one job; all errors carry the key."""
        return self._trigger(f"{_path(name)}/trigger", idempotency_key)

    def delete(self, name: str) -> bool:
        """Ends it. Jobs that it made stay. `False`: there was none, as after a delete whose answer was lost."""
        try:
            self._caller.call("DELETE", _path(name), lambda answer: None)
        except ApiError as error:
            if error.code != "schedule-not-found":
                raise
            return False
        return True

    def _put(self, name: str, fields: Mapping[str, Any]) -> Schedule:
        return self._caller.call("PUT", _path(name), _read, _JSON, json.dumps(fields).encode())

    def _post(self, name: str, verb: str) -> Schedule:
        return self._caller.call("POST", f"{_path(name)}/{verb}", _read, _JSON, b"")


_JSON = {"Content-Type": "application/json"}


def _path(name: str) -> str:
    return f"/v1/schedules/{quote(name, safe='')}"


def _read(answer: Answer) -> Schedule:
    return _schedule(document(answer), answer)


def _schedule(raw: Any, answer: Answer) -> Schedule:
    try:
        runs = [NextRun(str(run["at"]), str(run["local"])) for run in raw["next"]]
        return Schedule(str(raw["name"]), str(raw["cron"]), str(raw["kind"]), raw.get("paused") is True, runs, raw)
    except (TypeError, KeyError, AttributeError):
        raise Garbled(answer) from None


def _read_page(answer: Answer) -> tuple[list[Schedule], Optional[str]]:
    page = document(answer)
    try:
        return [_schedule(raw, answer) for raw in page["schedules"]], page["next_cursor"]
    except (TypeError, KeyError):
        raise Garbled(answer) from None
