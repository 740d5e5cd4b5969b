"""What a proxy can do to a request and its answer. Each fault is a function of an exchange and its rule in the case."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Awaitable, Callable

from wire import Message, abort, body_of, read_head, write_head

Rule = dict[str, Any]


class Exchange:
    """One request of the client, and the way to the server and back."""

    def __init__(
        self,
        upstream: tuple[str, int],
        target: str,
        request: Message,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.upstream, self.target, self.request, self.body = upstream, target, request, body
        self.reader, self.writer = reader, writer
        #: What the server said to the first submit of the case, once it has: shared by its exchanges.
        self.first_job: list[bytes] = []
        self.answer = Message("", [])
        self._server: Any = None

    async def forward(self) -> AsyncIterator[bytes]:
        """Gives the request to the server. Then `answer` is its head, and what is returned its body."""
        reader, self._server = await asyncio.open_connection(*self.upstream)
        method = self.request.first_line.split(" ")[0]
        headers = self.request.without("host", "connection", "content-length", "transfer-encoding")
        headers += [("Host", "{}:{}".format(*self.upstream)), ("Connection", "close")]
        if self.body or method in ("POST", "PUT"):
            headers.append(("Content-Length", str(len(self.body))))
        self._server.write(write_head(f"{method} {self.target} HTTP/1.1", headers) + self.body)
        self.answer = await read_head(reader)
        status = int(self.answer.first_line.split(" ")[1])
        if method == "HEAD" or status in (204, 304):
            return _nothing()
        return body_of(reader, self.answer, is_request=False)

    async def client_gone(self) -> None:
        await self.reader.read(1)

    def hang_up(self) -> None:
        if self._server is not None:
            self._server.close()

    async def send_head(self) -> None:
        headers = [*self.answer.without("connection", "transfer-encoding"), ("Connection", "close")]
        if self.is_chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        await self.send(write_head(self.answer.first_line, headers))

    @property
    def is_chunked(self) -> bool:
        return self.answer.header("transfer-encoding") is not None

    async def send_body(self, piece: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(piece), piece) if self.is_chunked else piece)

    async def send_end(self) -> None:
        if self.is_chunked:
            await self.send(b"0\r\n\r\n")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _whole(body: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in body])


async def none(exchange: Exchange, _rule: Rule) -> None:
    """Behaves."""
    body = await exchange.forward()
    await exchange.send_head()
    sent = []
    async for piece in body:
        await exchange.send_body(piece)
        sent.append(piece)
    await exchange.send_end()
    if not exchange.first_job:
        exchange.first_job.append(b"".join(sent))


async def stale(exchange: Exchange, _rule: Rule) -> None:
    """Answers by itself with what the server said to the first submit, as a cache would that should not be one."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(exchange.first_job[0])))]
    await exchange.send(write_head("HTTP/1.1 200 OK", [*headers, ("Connection", "close")]) + exchange.first_job[0])


async def answer(exchange: Exchange, rule: Rule) -> None:
    """Answers by itself; the server hears nothing."""
    body = str(rule.get("body", "")).encode()
    headers = [("Content-Type", rule.get("type", "text/html")), ("Content-Length", str(len(body)))]
    headers += [*rule.get("headers", {}).items(), ("Connection", "close")]
    await exchange.send(write_head(f"HTTP/1.1 {rule['status']} Scripted", headers) + body)


async def reset(exchange: Exchange, _rule: Rule) -> None:
    """Resets the connection; the server hears nothing."""
    abort(exchange.writer)


async def drop_answer(exchange: Exchange, _rule: Rule) -> None:
    """The server answers in full, and the client sees a reset connection."""
    await _whole(await exchange.forward())
    abort(exchange.writer)


async def hold(exchange: Exchange, rule: Rule) -> None:
    """The server hears it at once; its answer is held back for some seconds."""
    data = await _whole(await exchange.forward())
    await asyncio.sleep(rule["seconds"])
    await exchange.send_head()
    await exchange.send_body(data)
    await exchange.send_end()


async def cut(exchange: Exchange, rule: Rule) -> None:
    """The answer ends in the middle of its body, though its head promised more. `undigested`: without its Content-Digest."""
    data = await _whole(await exchange.forward())
    assert len(data) > rule["after"], "there is nothing to cut"
    if rule.get("undigested"):
        exchange.answer.headers = exchange.answer.without("content-digest")
    await exchange.send_head()
    await exchange.send_body(data[: rule["after"]])


async def forget_wait(exchange: Exchange, rule: Rule) -> None:
    """Takes the wish to wait off the request, so that the server answers at once."""
    exchange.request.headers = exchange.request.without("prefer")
    await none(exchange, rule)


async def corrupt(exchange: Exchange, rule: Rule) -> None:
    """One byte of the body is another one. The length is right, and the head has the digest of what was sent."""
    data = bytearray(await _whole(await exchange.forward()))
    data[len(data) // 2] ^= 0x20
    await exchange.send_head()
    await exchange.send_body(bytes(data))
    await exchange.send_end()


async def trickle(exchange: Exchange, rule: Rule) -> None:
    """The body comes in small pieces, each after a while."""
    data = await _whole(await exchange.forward())
    await exchange.send_head()
    for start in range(0, len(data), rule["bytes"]):
        await asyncio.sleep(rule["seconds"])
        await exchange.send_body(data[start : start + rule["bytes"]])
    await exchange.send_end()


async def stall(exchange: Exchange, rule: Rule) -> None:
    """The first `after` bytes of the body come, and then nothing more, for as long as the client stays."""
    data = await _whole(await exchange.forward())
    assert len(data) > rule["after"], "there is nothing to hold back"
    await exchange.send_head()
    await exchange.send_body(data[: rule["after"]])
    await exchange.client_gone()


async def cut_events(exchange: Exchange, rule: Rule) -> None:
    """Lets some events through, and half of the next one. `how`: `end` looks like the end of the stream, `reset` does not."""
    body = await exchange.forward()
    await exchange.send_head()
    seen = b""
    async for piece in body:
        seen += piece
        # Each event ends with an empty line; the first block of a stream only says `retry`.
        ends = [at + 2 for at in range(len(seen)) if seen.startswith(b"\n\n", at)]
        if len(ends) > rule["after"] + 1:
            here, after = ends[rule["after"]], ends[rule["after"] + 1]
            await exchange.send_body(seen[: (here + after) // 2])
            break
    else:
        raise AssertionError("the stream ended before it could be cut")
    if rule["how"] == "end":
        await exchange.send_end()
    else:
        await asyncio.sleep(0.2)  # or the client may never see what came before the reset
        abort(exchange.writer)


async def buffer(exchange: Exchange, rule: Rule) -> None:
    """Collects the answer and never gives it out; with `head`, the client sees at least how it begins."""
    await exchange.forward()
    if rule.get("head"):
        await exchange.send_head()
    await exchange.client_gone()


_ALL = (none, stale, answer, reset, drop_answer, hold, cut, forget_wait, corrupt, trickle, stall, cut_events, buffer)
FAULTS: dict[str, Callable[[Exchange, Rule], Awaitable[None]]] = {fault.__name__: fault for fault in _ALL}
