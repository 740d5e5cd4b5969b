"""A job as it was at one version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional


@dataclass(frozen=True)
class Job:
    """A snapshot. Loop on `done`, never on the list of statuses. `raw` has every field as the server sent it."""

    id: str
    kind: str
    #: `scheduled`, `queued`, `in_progress`, `retrying`, `succeeded`, `failed`, `canceled`, `expired`, or what comes later.
    status: str
    done: bool
    #: Rises by one with each visible change.
    version: int
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, raw: Any) -> Optional[Job]:
        """The job in a parsed JSON document, or `None` if that is no job."""
        if not isinstance(raw, dict):
            return None
        wanted = {"id": str, "kind": str, "status": str, "done": bool, "version": int}
        if not all(isinstance(raw.get(name), kind) for name, kind in wanted.items()):
            return None
        return cls(raw=raw, **{name: raw[name] for name in wanted})

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    @property
    def progress(self) -> Optional[Mapping[str, Any]]:
        """`{"percent": 40.0, "message": "simmering"}`, either of which may be null; `None` before the handler said so."""
        return self.raw.get("progress")

    @property
    def error(self) -> Optional[Mapping[str, Any]]:
        """Why it failed: `code`, `message`, `retryable` and more."""
        return self.raw.get("error")

    @property
    def value(self) -> Any:
        """The result, where it is short enough to be part of the job; `None` otherwise. `JobHandle.result` gets it always."""
        return (self.raw.get("result") or {}).get("value")

    @property
    def poll_after(self) -> float:
        """Seconds after which another look is worth it."""
        return max(float(self.raw.get("poll_after_ms") or 1000), 100.0) / 1000
