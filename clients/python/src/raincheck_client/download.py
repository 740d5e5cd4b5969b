"""A result as it comes. One that is cut is gone on with where it was cut; whether all is right, its digest says at the end."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import time
from typing import Iterator, Optional

from .errors import RaincheckError, ResultDamaged
from .retry import Backoff, Caller, Garbled, refuse_failures
from .transport import Answer


class Download(Iterator[bytes]):
    """The pieces of one result, in order. Made by `JobHandle.download`.

    With `ResultDamaged` at the end all pieces are worth nothing. The retry budget is for the time without a byte, and begins
    anew with each piece.
    """

    def __init__(self, caller: Caller, job_id: str) -> None:
        self._caller, self._job_id = caller, job_id
        #: What the result is; known from the first piece on, and `None` before.
        self.content_type: Optional[str] = None
        #: Whether all came and met the SHA-256 that it came with. False until the end.
        self.verified = False
        self._given, self._hashed = 0, hashlib.sha256()
        self._digest: Optional[str] = None
        self._etag: Optional[str] = None
        self._pieces = self._all()

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except RaincheckError as error:
            error.job_id = self._job_id
            raise

    def _all(self) -> Iterator[bytes]:
        backoff, end = Backoff(), time.monotonic() + self._caller.budget
        while True:
            try:
                for piece in self._once():
                    self._given += len(piece)
                    self._hashed.update(piece)
                    yield piece
                    backoff, end = Backoff(), time.monotonic() + self._caller.budget
                break
            except Exception as error:
                self._caller.pause(error, backoff, end)
        if self._digest is not None:
            if base64.b64encode(self._hashed.digest()).decode() != self._digest:
                raise ResultDamaged("the result does not match its Content-Digest")
            self.verified = True

    def _once(self) -> Iterator[bytes]:
        """What is still to come, by one request."""
        headers = {"Accept": "*/*"}
        if self._given and self._etag is not None:
            headers.update({"Range": f"bytes={self._given}-", "If-Range": self._etag})
        timeout = self._caller.request_timeout
        opened = self._caller.transport.open("GET", f"/v1/jobs/{self._job_id}/result", headers, None, timeout)
        try:
            here = (opened.headers.get("Content-Range") or "").startswith(f"bytes {self._given}-")
            if opened.status not in (200, 206) or (opened.status == 206 and not here):
                deadline = time.monotonic() + timeout
                page = Answer(opened.status, opened.headers, b"".join(opened.pieces(timeout, deadline)))
                refuse_failures(page)
                raise Garbled(page)
            if not self._given:
                self._know(opened.headers)
            # Who knows nothing of ranges sends all of it once more.
            again = self._given if opened.status == 200 else 0
            for piece in opened.pieces(timeout):
                known = min(again, len(piece))
                again -= known
                if known < len(piece):
                    yield piece[known:]
            if again:
                raise OSError("the result is shorter than it was")
        finally:
            opened.close()

    def _know(self, headers: http.client.HTTPMessage) -> None:
        self.content_type = headers.get("Content-Type", "application/octet-stream")
        given = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", headers.get("Content-Digest", ""))
        self._digest = given[1] if given else None
        etag = headers.get("ETag")
        # A weak one says nothing of bytes.
        self._etag = etag if etag is not None and not etag.startswith("W/") else None
