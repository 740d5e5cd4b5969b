"""`text/event-stream`, as the HTML standard has it: bytes in, events out."""

from __future__ import annotations

from typing import Iterable, Iterator, Optional

#: More than an event can be: a job holds at most 1 MiB of result.
_LARGEST_EVENT = 16 * 1024 * 1024


class EventStream:
    """The events of one stream. What is left over at its end was cut, and is no event."""

    def __init__(self) -> None:
        #: The pause before a reconnect, in seconds, as the stream asked for.
        self.retry: Optional[float] = None

    def events(self, pieces: Iterable[bytes]) -> Iterator[str]:
        """The data of each event. A job says by itself which version it is, so ids and names are not looked at."""
        data: list[str] = []
        for line in self._lines(pieces):
            if line == b"":
                if data:
                    yield "\n".join(data)
                data = []
                continue
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "data":
                data.append(value)
            elif field == "retry" and value.isascii() and value.isdigit():
                self.retry = int(value) / 1000

    def _lines(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        # Lines end with \n, \r\n or \r. A \r at the end of a piece may be half of an end; the \n that follows is dropped.
        rest, after_return = b"", False
        for piece in pieces:
            if after_return and piece.startswith(b"\n"):
                piece = piece[1:]
            after_return = piece.endswith(b"\r")
            *lines, rest = (rest + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            if len(rest) > _LARGEST_EVENT:
                raise OSError("an event is too long to be one of raincheck's")
            yield from lines
