"""Failed jobs once more, many at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .retry import Caller, Garbled, document
from .transport import Answer

#: Jobs of one request.
_PAGE = 100


@dataclass(frozen=True)
class Retried:
    """A failed job, and the one that tries it once more: `None` in a dry run."""

    id: str
    retried_by: Optional[str]


@dataclass(frozen=True)
class Unretried:
    """A failed job that cannot be tried, or not now, and the problem document that a retry would have had."""

    id: str
    problem: Mapping[str, Any]


@dataclass
class Redriven:
    """What came of a redrive."""

    jobs: list[Retried] = field(default_factory=list)
    refused: list[Unretried] = field(default_factory=list)
    #: Whether there may be more, beyond the limit.
    more: bool = False


def redrive(caller: Caller, filter: Mapping[str, Any], limit: int, dry_run: bool) -> Redriven:
    """All pages of it."""
    all_ = Redriven()
    cursor: Optional[str] = None
    while True:
        left = limit - len(all_.jobs) - len(all_.refused)
        if left <= 0:
            all_.more = True
            return all_
        wish = {"filter": filter, "limit": min(left, _PAGE), "dry_run": dry_run, "cursor": cursor}
        headers = {"Content-Type": "application/json"}
        page, cursor = caller.call("POST", "/v1/jobs/redrive", _read, headers, json.dumps(wish).encode())
        all_.jobs += page.jobs
        all_.refused += page.refused
        if cursor is None:
            return all_


def _read(answer: Answer) -> tuple[Redriven, Optional[str]]:
    page = document(answer)
    try:
        jobs = [Retried(str(job["id"]), job["retried_by"]) for job in page["jobs"]]
        return Redriven(jobs, [Unretried(str(job["id"]), job["problem"]) for job in page["refused"]]), page["next_cursor"]
    except (TypeError, KeyError):
        raise Garbled(answer) from None
