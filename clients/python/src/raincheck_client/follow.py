"""A job as it moves: by server-sent events, or else by long polls, or else by asking now and then.

Proxies cut streams, buffer them for ever, or do not let requests stay open. So a way that failed twice in a row without
bringing news is given up for the next one, and a stream that keeps silent from its start at once. After a failure the job is
read the plain way, on the retry budget: that tells whether it was the way that failed or the server that is away.
"""

from __future__ import annotations

import json
import time
from typing import Callable, Iterator, Optional

from .errors import ApiError
from .event_stream import EventStream
from .job import Job
from .retry import Backoff, Caller, Garbled, document, is_transient, refuse_failures, retry_after
from .transport import Answer

#: Failures without news in between until a way is given up.
_MISSES = 2
#: A stream that has begun says something every 15 s.
_SILENCE = 40.0


class _Silent(Exception):
    """The stream was asked for, and nothing came: somebody holds it back."""


def read_job(answer: Answer) -> Job:
    """The job in an answer that should have one."""
    job = Job.of(document(answer))
    if job is None:
        raise Garbled(answer)
    return job


class Follower:
    """Follows one job. `latest` is the newest version that was seen."""

    def __init__(
        self, caller: Caller, job_id: str, patience: float, long_poll: float, deadline: Optional[float]
    ) -> None:
        self._caller, self._target = caller, f"/v1/jobs/{job_id}"
        self._patience, self._long_poll, self._deadline = patience, long_poll, deadline
        self.latest: Optional[Job] = None
        #: What the stream last asked to wait before a reconnect, and a read before the next one. Seconds.
        self._reconnect_after: Optional[float] = None
        self._poll_after = 0.0

    def snapshots(self) -> Iterator[Job]:
        """Each version that comes, in order; the last one is `done`. Raises `TimeoutError` at the deadline."""
        ways: list[Callable[[], Iterator[Job]]] = [self._events, self._held, self._now_and_then]
        misses, backoff = 0, Backoff()
        while True:
            before, failed = self._seen, False
            try:
                for job in self._news(ways[0]()):
                    yield job
                    if job.done:
                        return
            except _Silent:
                failed, misses = True, _MISSES
            except Exception as error:
                self._check_deadline()
                if len(ways) == 1 or not _is_a_miss(error):
                    raise
                failed = True
                misses += 1
            self._check_deadline()
            if self._seen > before:
                misses, backoff = 0, Backoff()
            elif not failed and ways[0] == self._events:
                misses += 1
            streamed = ways[0] == self._events
            if misses >= _MISSES:
                misses = 0
                ways.pop(0)
            elif streamed:
                self._sleep(max(self._reconnect_after or 0.0, backoff.pause()))
            if failed or streamed:
                for job in self._news(iter([self._read()])):
                    yield job
                    if job.done:
                        return

    def _news(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            if job.version > self._seen:
                self.latest = job
                yield job

    @property
    def _seen(self) -> int:
        return self.latest.version if self.latest is not None else 0

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimeoutError

    def _within(self, seconds: float) -> float:
        """As much of these seconds as is left before the deadline."""
        if self._deadline is None:
            return seconds
        return max(min(seconds, self._deadline - time.monotonic()), 0.01)

    def _sleep(self, seconds: float) -> None:
        time.sleep(self._within(seconds))
        self._check_deadline()

    def _events(self) -> Iterator[Job]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._seen:
            headers["Last-Event-ID"] = str(self._seen)
        try:
            opened = self._caller.transport.open(
                "GET", f"{self._target}/events", headers, None, self._within(self._patience)
            )
        except TimeoutError:
            raise _Silent from None
        try:
            if opened.status == 204:
                return
            if opened.status != 200 or opened.headers.get_content_type() != "text/event-stream":
                deadline = time.monotonic() + self._within(self._patience)
                page = Answer(opened.status, opened.headers, b"".join(opened.pieces(self._patience, deadline)))
                refuse_failures(page)
                raise Garbled(page)
            # The server speaks at once, if only to say `retry`.
            try:
                first = next(opened.pieces(self._patience, self._deadline), b"")
            except TimeoutError:
                raise _Silent from None
            stream = EventStream()

            def pieces() -> Iterator[bytes]:
                yield first
                yield from opened.pieces(_SILENCE, self._deadline)

            for data in stream.events(pieces()):
                self._reconnect_after = stream.retry
                job = _job_in(data)
                if job is not None:
                    yield job
            self._reconnect_after = stream.retry
        finally:
            opened.close()

    def _held(self) -> Iterator[Job]:
        seconds = max(int(self._within(self._long_poll)), 1)
        headers = {"Prefer": f"wait={seconds}"}
        if self._seen:
            headers["If-None-Match"] = f'"{self._seen}"'
        started = time.monotonic()
        answer = self._caller.transport.send("GET", self._target, headers, None, self._within(seconds + 10.0))
        refuse_failures(answer)
        job = None if answer.status == 304 else read_job(answer)
        if job is not None and job.version > self._seen:
            yield job
        elif time.monotonic() - started < seconds / 2:
            # Somebody took the wish off the request, and asking again at once would go round in circles.
            raise Garbled(answer)

    def _now_and_then(self) -> Iterator[Job]:
        self._sleep(self._poll_after)
        yield self._read()

    def _read(self) -> Job:
        def read(answer: Answer) -> Job:
            job = read_job(answer)
            self._poll_after = retry_after(answer.headers) or job.poll_after
            return job

        return self._caller.call("GET", self._target, read, deadline=self._deadline)


def _is_a_miss(error: Exception) -> bool:
    """Whether another way may do better: it is the connection's fault, the server's, or nobody speaks this here."""
    return is_transient(error) or (isinstance(error, ApiError) and error.status in (405, 406))


def _job_in(data: str) -> Optional[Job]:
    try:
        return Job.of(json.loads(data))
    except ValueError:
        return None
