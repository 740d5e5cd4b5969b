"""When a request is sent again, how long that goes on, and what an answer means."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import ssl
import time
from typing import Any, Callable, Mapping, Optional, TypeVar

from .errors import ApiError, RaincheckError, Redirected, Unreachable
from .transport import TRANSPORT_FAULTS, Answer, Transport

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

T = TypeVar("T")


class Garbled(Exception):
    """An answer came, but not one of raincheck's: a page of a proxy, half a document."""

    def __init__(self, answer: Answer) -> None:
        kind = answer.headers.get("Content-Type", "no media type")
        super().__init__(f"{answer.status} with {kind} is no answer of raincheck: {answer.body[:120]!r}")
        self.status = answer.status


class Backoff:
    """Pauses with full jitter: anything from nothing to a bound that doubles."""

    def __init__(self) -> None:
        self._bound = _FIRST_PAUSE

    def pause(self, retry_after: Optional[float] = None) -> float:
        """Seconds until the next try; never less than the server asked for."""
        pause = random.uniform(0, self._bound) + (retry_after or 0.0)
        self._bound = min(self._bound * 2, _LONGEST_PAUSE)
        return pause


def retry_after(headers: http.client.HTTPMessage) -> Optional[float]:
    """The header in seconds, given as such or as a date."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, IndexError):
        return None


def document(answer: Answer) -> Any:
    """The JSON of an answer that should have some."""
    try:
        return json.loads(answer.body)
    except ValueError:
        raise Garbled(answer) from None


def refuse_failures(answer: Answer) -> None:
    """Raises what an answer says that is no success."""
    if answer.status < 300 or answer.status == 304:
        return
    if answer.status < 400:
        raise Redirected(answer.status, answer.headers.get("Location"))
    problem = document(answer)
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        raise Garbled(answer)
    raise ApiError(answer.status, problem, retry_after(answer.headers))


def is_transient(error: BaseException) -> bool:
    """Whether the same request may go better in a while."""
    if isinstance(error, ApiError):
        # A job may take as long as it does, and whoever can wait for it waits for the job.
        if error.code == "job-not-finished":
            return False
        return error.retryable or error.status in (408, 429) or error.status >= 500
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    return isinstance(error, (Garbled, *TRANSPORT_FAULTS))


class Caller:
    """Sends requests until they are answered or the budget is spent."""

    def __init__(self, transport: Transport, budget: float, request_timeout: float) -> None:
        self.transport, self.budget, self.request_timeout = transport, budget, request_timeout

    def call(
        self,
        method: str,
        target: str,
        read: Callable[[Answer], T],
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
        deadline: Optional[float] = None,
        bounded: bool = True,
    ) -> T:
        """What `read` makes of the answer. `read` raises `Garbled` for what is not to be believed.

        Ends with `TimeoutError` at `deadline`, an instant of `time.monotonic`; otherwise with an error that says how it
        stood when the retry budget was spent.
        """
        end = time.monotonic() + self.budget
        backoff = Backoff()
        while True:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            timeout = self.request_timeout if deadline is None else min(self.request_timeout, deadline - time.monotonic())
            try:
                answer = self.transport.send(method, target, headers or {}, body, max(timeout, 0.01), bounded=bounded)
                refuse_failures(answer)
                return read(answer)
            except Exception as error:
                self.pause(error, backoff, end, deadline)

    def pause(self, error: Exception, backoff: Backoff, end: float, deadline: Optional[float] = None) -> None:
        """Waits before the next try, or raises what there is to say: there is none, or none before `end` or `deadline`."""
        if isinstance(error, ssl.SSLCertVerificationError):
            raise _last_word(error) from error
        if not is_transient(error):
            raise error
        pause = backoff.pause(getattr(error, "retry_after", None))
        # Below a deadline the shorter of the two ends it: one that comes later does not lengthen the budget.
        if deadline is not None and deadline < end and time.monotonic() + pause >= deadline:
            time.sleep(max(deadline - time.monotonic(), 0.0))
            raise TimeoutError from error
        if time.monotonic() + pause >= end:
            raise _last_word(error) from error
        time.sleep(pause)


def _last_word(error: Exception) -> RaincheckError:
    if isinstance(error, RaincheckError):
        return error
    what = str(error) or type(error).__name__
    return Unreachable(f"raincheck cannot be reached: {what}", getattr(error, "status", None))
