"""One request over a connection of its own, bounded in time. Knows HTTP, nothing of jobs."""

from __future__ import annotations

import http.client
import io
import ssl
import time
from typing import Iterator, Mapping, Optional, Union
from urllib.parse import urlsplit

#: What a broken or silent connection raises. `ssl.SSLError` is an OSError, a timeout too.
TRANSPORT_FAULTS = (OSError, http.client.HTTPException)

#: Of a body this is sent at once; the socket's timeout is for each.
_PIECE = 64 * 1024
#: What the system may hold of what was written and not sent yet, which nobody sees move, and a line of a megabit.
_UNSEEN, _BYTES_PER_SECOND = 1024 * 1024, 128 * 1024

#: More than any answer about a job can be; results are read without this bound.
_LARGEST_DOCUMENT = 64 * 1024 * 1024


class Answer:
    """A whole answer."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class OpenAnswer:
    """An answer whose body is still coming."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        # Kept here, since a response that says `Connection: close` takes the socket from its connection.
        self._socket = connection.sock
        response = connection.getresponse()
        self._connection, self._response = connection, response
        self.status = response.status
        self.headers = response.headers

    def pieces(self, silence: float, deadline: Optional[float] = None) -> Iterator[bytes]:
        """The body as it comes. Raises a fault of the transport after `silence` seconds without a byte, at `deadline`, and
        when the body ends before its time."""
        left = self._response.length
        while True:
            patience = silence if deadline is None else min(silence, deadline - time.monotonic())
            if patience <= 0:
                raise TimeoutError("the answer took too long")
            if self._socket is not None and self._socket.fileno() != -1:
                self._socket.settimeout(patience)
            piece = self._response.read1(65536)
            if not piece:
                if left:
                    raise http.client.IncompleteRead(b"", left)
                return
            if left is not None:
                left -= len(piece)
            yield piece
            if left == 0:
                return

    def close(self) -> None:
        self._response.close()
        self._connection.close()


class Transport:
    """Where raincheck is, and how to talk to it."""

    def __init__(self, base_url: str, api_key: Optional[str], tls: Optional[ssl.SSLContext]) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(f"the base URL must be http:// or https:// with a host, without a query: {base_url!r}")
        self._host, self._port = url.hostname, url.port
        self._prefix = url.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if url.scheme == "https" else None
        self._headers = {"User-Agent": "raincheck-client-python", "Accept-Encoding": "identity"}
        if api_key is not None:
            if not api_key.isascii() or not api_key.isprintable():
                raise ValueError("the API key has characters that no header can carry")
            self._headers["Authorization"] = f"Bearer {api_key}"

    def open(
        self, method: str, target: str, headers: Mapping[str, str], body: Optional[bytes], patience: float
    ) -> OpenAnswer:
        """Sends a request and reads the head of its answer; for `patience` seconds nothing may move, up or down."""
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=patience)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=patience, context=self._tls)
        try:
            sent: Optional[Union[bytes, io.BytesIO]] = body
            more = {**self._headers, **headers}
            if body is not None and len(body) > _PIECE:
                # One `sendall` has one timeout, however much it sends.
                sent, connection.blocksize = io.BytesIO(body), _PIECE
                more["Content-Length"] = str(len(body))
            connection.request(method, self._prefix + target, body=sent, headers=more)
            if body is not None:
                connection.sock.settimeout(patience + min(len(body), _UNSEEN) // _BYTES_PER_SECOND)
            return OpenAnswer(connection)
        except BaseException:
            connection.close()
            raise

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Optional[bytes], timeout: float, *, bounded: bool = True
    ) -> Answer:
        """Sends a request and reads all of its answer, or raises one of TRANSPORT_FAULTS.

        A document has to be there within `timeout` seconds, from when its request is under way in full; a body takes as
        long as it moves, and so does what is not `bounded`."""
        started = time.monotonic()
        opened = self.open(method, target, headers, body, timeout)
        if body is not None:
            started = time.monotonic()
        deadline = started + timeout if bounded else None
        try:
            read = bytearray()
            for piece in opened.pieces(timeout, deadline):
                read += piece
                if bounded and len(read) > _LARGEST_DOCUMENT:
                    raise http.client.HTTPException("the answer is too long to be one of raincheck's")
            return Answer(opened.status, opened.headers, bytes(read))
        finally:
            opened.close()
