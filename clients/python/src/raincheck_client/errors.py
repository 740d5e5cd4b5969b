"""What can go wrong, by what the caller can do about it. All of it is a `RaincheckError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

if TYPE_CHECKING:
    from .job import Job


class RaincheckError(Exception):
    """The base of all errors here.

    `job_id` names the job it is about, once that has an id. `idempotency_key` is set on errors of a submit: with it
    `Client.find_by_idempotency_key` tells whether the job was accepted all the same.
    """

    job_id: Optional[str] = None
    idempotency_key: Optional[str] = None

    def __str__(self) -> str:
        about = ""
        if self.job_id is not None:
            about = f" (job {self.job_id})"
        elif self.idempotency_key is not None:
            about = f" (idempotency key {self.idempotency_key})"
        return super().__str__() + about


class ApiError(RaincheckError):
    """raincheck refused, or kept saying until the retry budget was spent that it cannot now."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: Optional[float]) -> None:
        self.status = status
        #: The whole problem document (RFC 9457), `errors` with its pointers included.
        self.problem = problem
        #: Stable, for programs: docs/errors has a page for each.
        self.code = str(problem.get("code") or "unknown")
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.request_id: Optional[str] = problem.get("request_id")
        #: Whether the very same request may succeed later.
        self.retryable = problem.get("retryable") is True
        #: Seconds after which the server wants to be asked again.
        self.retry_after = retry_after
        super().__init__(f"{status} {self.code}: {self.detail} [request {self.request_id}]")


class Unreachable(RaincheckError):
    """No answer of raincheck came through within the retry budget. `__cause__` has the last fault of the connection."""

    def __init__(self, message: str, status: Optional[int] = None) -> None:
        super().__init__(message)
        #: The HTTP status of the last answer, if there was one that was not raincheck's.
        self.status = status


class Redirected(RaincheckError):
    """The base URL leads elsewhere. A redirected POST may turn into a GET, so redirects are not followed."""

    def __init__(self, status: int, location: Optional[str]) -> None:
        super().__init__(f"{status}: redirected to {location}; use that as the base URL")
        self.status = status
        self.location = location


class WaitTimeout(RaincheckError, TimeoutError):
    """The job did not end in time. It goes on; `job_id` is always set. `job` is its latest known state, if any."""

    def __init__(self, job_id: str, timeout: float, job: Optional[Job]) -> None:
        super().__init__(f"the job has not ended within {timeout:g} s")
        self.job_id: str = job_id
        self.job = job


class JobFailed(RaincheckError):
    """The job ended without success: it failed, was canceled, or expired. `job` is all of it."""

    def __init__(self, job: Job) -> None:
        error = job.error or {}
        said = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
        super().__init__(f"the job {job.status}" if not said else f"the job {job.status}: {said}")
        self.job = job
        self.job_id: str = job.id
        #: For instance `handler-error` or `run-timeout`. `None` when it was canceled or expired.
        self.code: Optional[str] = error.get("code")


class ResultDamaged(RaincheckError):
    """Each time the result arrived within the retry budget, it did not match its Content-Digest."""


class WebhookRejected(RaincheckError):
    """The webhook is not to be believed: its signature, its age or its form is wrong."""
