"""A job that was submitted: follow it, wait for it, get its result, cancel it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional, TypeVar

from .download import Download
from .errors import ApiError, JobFailed, RaincheckError, ResultDamaged, Unreachable, WaitTimeout
from .follow import Follower, read_job
from .job import Job
from .retry import Caller
from .transport import TRANSPORT_FAULTS, Answer

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """The output of a job, byte for byte."""

    body: bytes
    content_type: str
    #: Whether it came with a SHA-256 that it matches. One that does not match is never given out.
    verified: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def text(self) -> str:
        return self.body.decode("utf-8")


class JobHandle:
    """One job on the server. Making a handle asks nothing; its methods do. Safe to use from several threads."""

    def __init__(
        self, caller: Caller, job_id: str, patience: float, long_poll: float, job: Optional[Job], key: Optional[str]
    ) -> None:
        self._caller, self._patience, self._long_poll = caller, patience, long_poll
        self.id = job_id
        #: The latest state that this handle has seen; `None` before it saw any.
        self.job = job
        #: The key it was submitted with, for `Client.find_by_idempotency_key`.
        self.idempotency_key = key

    def __repr__(self) -> str:
        return f"JobHandle({self.id!r})"

    def refresh(self) -> Job:
        """The job as it is now."""
        return self._seen(self._call("GET", f"/v1/jobs/{self.id}", read_job))

    def stream(self, timeout: Optional[float] = None) -> Iterator[Job]:
        """The job at each version that can be had, in order: versions only rise, and the last one is `done`.

        A failure of the job is no error here. Raises `WaitTimeout` after `timeout` seconds; without one it goes on until the
        job ends, over any number of lost connections. Whoever stops listening does not cancel the job.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        follower = Follower(self._caller, self.id, self._patience, self._long_poll, deadline)
        try:
            for job in follower.snapshots():
                yield self._seen(job)
        except RaincheckError as error:
            error.job_id = self.id
            raise
        except TimeoutError as error:
            raise WaitTimeout(self.id, timeout or 0.0, self.job) from error.__cause__
        except TRANSPORT_FAULTS as error:
            unreachable = Unreachable(f"raincheck cannot be reached: {error}")
            unreachable.job_id = self.id
            raise unreachable from error

    def wait(self, timeout: Optional[float] = None) -> Job:
        """The job once it has succeeded. Raises `JobFailed` if it ends otherwise, `WaitTimeout` after `timeout` seconds."""
        job = self.job
        if job is None or not job.done:
            for job in self.stream(timeout):
                pass
        assert job is not None  # a stream ends with a job that is done, or with an error
        if not job.succeeded:
            raise JobFailed(job)
        return job

    def result(self, timeout: Optional[float] = None) -> Result:
        """Waits as `wait` does, then gets the output. Raises `ResultDamaged` if none came that matches its digest."""
        self.wait(timeout)
        return self._call("GET", f"/v1/jobs/{self.id}/result", _read_result, headers={"Accept": "*/*"}, bounded=False)

    def download(self) -> Download:
        """The output of a job that has succeeded, in pieces as they come: for what is too large to be held in memory."""
        return Download(self._caller, self.id)

    def cancel(self, reason: Optional[str] = None) -> Job:
        """Asks for a cancel. A waiting job is canceled at once; one that runs is told, and may still take a while: see
        `Job.done`. Raises `ApiError` with code `job-already-finished` if it has ended otherwise."""
        body = json.dumps({} if reason is None else {"reason": reason}).encode()
        headers = {"Content-Type": "application/json"}
        return self._seen(self._call("POST", f"/v1/jobs/{self.id}/cancel", read_job, headers=headers, body=body))

    def _call(self, method: str, target: str, read: Callable[[Answer], T], **more: Any) -> T:
        try:
            return self._caller.call(method, target, read, **more)
        except RaincheckError as error:
            error.job_id = self.id
            if isinstance(error.__cause__, _Damaged):
                damaged = ResultDamaged("the result does not match its Content-Digest")
                damaged.job_id = self.id
                raise damaged from None
            raise

    def _seen(self, job: Job) -> Job:
        if self.job is None or job.version >= self.job.version:
            self.job = job
        return job


class _Damaged(OSError):
    """The body is not the one that was sent. Like a broken connection, it is worth another try."""


def _read_result(answer: Answer) -> Result:
    kind = answer.headers.get("Content-Type", "application/octet-stream")
    given = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", answer.headers.get("Content-Digest", ""))
    if given:
        digest = base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
        if not hmac.compare_digest(digest, given[1]):
            raise _Damaged
    return Result(answer.body, kind, verified=given is not None)
