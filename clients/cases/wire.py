"""Just enough of HTTP/1.1 to stand between a client and a server and see every byte of both."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import AsyncIterator, Optional


class Message:
    """The head of a request or an answer: its first line, its headers as they came."""

    def __init__(self, first_line: str, headers: list[tuple[str, str]]) -> None:
        self.first_line = first_line
        self.headers = headers

    def header(self, name: str) -> Optional[str]:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def without(self, *names: str) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self.headers if key.lower() not in names]


async def read_head(reader: asyncio.StreamReader) -> Message:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first_line, *lines = head[:-4].split("\r\n")
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Message(first_line, headers)


def write_head(first_line: str, headers: list[tuple[str, str]]) -> bytes:
    return "\r\n".join([first_line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


async def body_of(reader: asyncio.StreamReader, head: Message, *, is_request: bool) -> AsyncIterator[bytes]:
    """The body without its framing, as it comes. Ends early, without a word, when the peer does."""
    if (head.header("transfer-encoding") or "").lower() == "chunked":
        while True:
            size = int((await reader.readline()).split(b";")[0] or b"0", 16)
            if size == 0:
                return
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    length = head.header("content-length")
    left = int(length) if length else (0 if is_request else 1 << 60)
    while left:
        piece = await reader.read(min(left, 65536))
        if not piece:
            return
        left -= len(piece)
        yield piece


def abort(writer: asyncio.StreamWriter) -> None:
    """Ends a connection by RST, so that the peer sees an error rather than an end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
