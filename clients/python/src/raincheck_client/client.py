"""Where raincheck is, and how jobs get there."""

from __future__ import annotations

import json
import ssl
import uuid
from typing import Any, Iterable, Mapping, Optional, Union
from urllib.parse import quote, urlencode

from .errors import RaincheckError
from .follow import read_job
from .handle import JobHandle
from .redrive import Redriven, redrive
from .retry import Caller, Garbled, document
from .schedules import Schedules
from .transport import Answer, Transport

#: Options of a submit by bytes: a list becomes several parameters of the same name, such as `tag`.
Options = Mapping[str, Union[str, int, bool, Iterable[str]]]


class Client:
    """A raincheck server. Holds no connection, and may be shared by threads."""

    def __init__(
        self,
        base_url: str,
        api_key: Optional[str] = None,
        *,
        retry_budget: float = 60.0,
        request_timeout: float = 30.0,
        stream_patience: float = 5.0,
        long_poll: float = 25.0,
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        """All times are in seconds.

        `base_url`: with or without a path and a slash at its end. `api_key`: sent as Bearer.
        `retry_budget`: how long one request is sent again and again before its error is raised.
        `request_timeout`: the longest that a try may wait: for a connection, for a byte of what it sends to be taken, for the
        answer to begin, and for all of an answer about a job; of a result, for the next byte. A body takes as long as it moves.
        `stream_patience`: how long an event stream may keep silent at its start until it is given up for long polls.
        `long_poll`: how long a long poll is held; proxies tend to cut idle connections after 60 s.
        """
        self._caller = Caller(Transport(base_url, api_key, tls), retry_budget, request_timeout)
        self._patience, self._long_poll = stream_patience, long_poll
        #: What the server makes jobs by.
        self.schedules = Schedules(self._caller, lambda target, key: self._submit(target, "application/json", b"", key))

    def submit(
        self, kind: str, input: Any = None, *, idempotency_key: Optional[str] = None, options: Optional[Mapping[str, Any]] = None
    ) -> JobHandle:
        """Submits a job, and returns once it is kept: sent again after any fault, it is accepted once.

        `input` is JSON. `options` are the other fields of `POST /v1/jobs`, such as
        `{"priority": 7, "delay": "10m", "timeouts": {"run": "5m"}, "tags": ["march"]}`.
        Without an `idempotency_key` one is made. All errors carry it, for `find_by_idempotency_key`.
        """
        _refuse_validate_only(options)
        body = json.dumps({**(options or {}), "kind": kind, "input": input}).encode()
        return self._submit("/v1/jobs", "application/json", body, idempotency_key)

    def submit_bytes(
        self,
        kind: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        idempotency_key: Optional[str] = None,
        options: Optional[Options] = None,
    ) -> JobHandle:
        """Submits a job whose input is these bytes. `options` are query parameters, such as `{"run_timeout": "5m"}`."""
        _refuse_validate_only(options)
        query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in (options or {}).items()}
        target = f"/v1/kinds/{quote(kind, safe='')}/jobs" + (f"?{urlencode(query, doseq=True)}" if query else "")
        return self._submit(target, content_type, body, idempotency_key)

    def job(self, job_id: str) -> JobHandle:
        """A handle for a job whose id is known. Asks nothing."""
        return self._handle(quote(job_id, safe=""), None, None)

    def find_by_idempotency_key(self, key: str) -> Optional[JobHandle]:
        """The job that was accepted under a key, or `None`. For who does not know whether a submit arrived."""
        cursor: Optional[str] = None
        while True:
            query = {"idempotency_key": key, **({"cursor": cursor} if cursor else {})}
            jobs, cursor = self._caller.call("GET", f"/v1/jobs?{urlencode(query)}", _read_page)
            if jobs:
                return self._handle(jobs[0], None, key)
            if cursor is None:
                return None

    def redrive(
        self,
        *,
        kind: Optional[str] = None,
        queue: Optional[str] = None,
        error_code: Optional[str] = None,
        since: Optional[str] = None,
        until: Optional[str] = None,
        tags: Iterable[str] = (),
        limit: int = 1000,
        dry_run: bool = False,
    ) -> Redriven:
        """Tries failed jobs once more, at most `limit` of them, newest first; with `dry_run` it only says which.

        Each is tried once, however often this is called and whatever answers are lost; those whose answer was lost are not
        named. `since` and `until`: RFC 3339, of `created_at`. `tags`: all of them.
        """
        named = {"kind": kind, "queue": queue, "error_code": error_code, "since": since, "until": until}
        filter = {name: value for name, value in named.items() if value is not None}
        return redrive(self._caller, {**filter, "tags": list(tags)}, limit, dry_run)

    def _submit(self, target: str, content_type: str, body: bytes, key: Optional[str]) -> JobHandle:
        # Minted once, outside of the retries: it is what makes the second request the same as the first.
        key = key if key is not None else str(uuid.uuid4())
        if not key or len(key) > 255 or not all(" " <= c <= "~" and c not in '"\\' for c in key):
            raise ValueError("an idempotency key is 1 to 255 printable ASCII characters without quotes and backslashes")
        headers = {"Content-Type": content_type, "Idempotency-Key": f'"{key}"', "Prefer": "respond-async"}
        try:
            job = self._caller.call("POST", target, read_job, headers, body)
        except RaincheckError as error:
            error.idempotency_key = key
            raise
        return self._handle(job.id, job, key)

    def _handle(self, job_id: str, job: Any, key: Optional[str]) -> JobHandle:
        return JobHandle(self._caller, job_id, self._patience, self._long_poll, job, key)


def _refuse_validate_only(options: Optional[Mapping[str, Any]]) -> None:
    # Its answer has no job in it, and would be asked for again and again as one that was garbled on its way.
    if (options or {}).get("validate_only") not in (None, False, "false"):
        raise ValueError("validate_only makes no job: ask POST /v1/jobs itself instead, and read what it answers")


def _read_page(answer: Answer) -> tuple[list[str], Optional[str]]:
    """The ids of a page, and where the next one starts."""
    page = document(answer)
    try:
        return [str(job["id"]) for job in page["jobs"]], page["next_cursor"]
    except (TypeError, KeyError):
        raise Garbled(answer) from None
