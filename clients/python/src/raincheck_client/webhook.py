"""Webhooks, believed only when they are signed as Standard Webhooks say: https://www.standardwebhooks.com"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Union

from .errors import WebhookRejected
from .job import Job


@dataclass(frozen=True)
class WebhookEvent:
    """A webhook that is genuine. `id` is the same each time it is delivered: keep it, to do its work once."""

    id: str
    #: For instance `job.succeeded`.
    type: Optional[str]
    #: The whole job, if the webhook is about one. Older versions may arrive later than newer ones.
    job: Optional[Job]
    #: The parsed body.
    raw: Any


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: Union[str, Sequence[str]],
    *,
    tolerance: float = 300.0,
    now: Optional[float] = None,
) -> WebhookEvent:
    """The event in a webhook, or `WebhookRejected`.

    `body`: the bytes as they came; parsed and written again they are other bytes. `headers`: names in any case.
    `secret`: `whsec_…`, or several during a rotation; not a public key (`whpk_…`): Python's standard library has no Ed25519, and
    the `v1a` signatures of messages are passed over. `tolerance`: how many seconds it may be old or ahead of `now`, the
    seconds since 1970.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message, timestamp, signatures = (named[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise WebhookRejected(f"the header {missing} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise WebhookRejected("webhook-timestamp is not a whole number of seconds")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise WebhookRejected("webhook-timestamp is too old, or too far ahead")
    signed = f"{message}.{timestamp}.".encode() + body
    wanted = [hmac.new(_key(one), signed, hashlib.sha256).digest() for one in ([secret] if isinstance(secret, str) else secret)]
    given = [_decode(text[3:]) for text in signatures.split(" ") if text.startswith("v1,")]
    # All of them, whichever fits: the time taken tells nothing.
    if not any([hmac.compare_digest(one, other) for one in wanted for other in given]):
        raise WebhookRejected("no signature fits")
    try:
        raw = json.loads(body)
    except ValueError:
        raise WebhookRejected("the body is not JSON") from None
    fields = raw if isinstance(raw, dict) else {}
    kind = fields.get("type")
    return WebhookEvent(message, kind if isinstance(kind, str) else None, Job.of(fields.get("data")), raw)


def _key(secret: str) -> bytes:
    if secret.startswith("whpk_"):
        raise ValueError("public keys need Ed25519, which Python's standard library lacks: use the shared secret, whsec_…")
    key = _decode(secret[6:] if secret.startswith("whsec_") else secret)
    if not key:
        raise ValueError("a webhook secret is base64, with `whsec_` before it or without")
    return key


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
