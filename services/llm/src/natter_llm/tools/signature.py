"""Signatures of webhook requests: pure. Receivers find the other side in docs/tools.md."""

import hashlib
import hmac
from typing import Final

TIMESTAMP_HEADER: Final = "X-Natter-Timestamp"
SIGNATURE_HEADER: Final = "X-Natter-Signature"


def signature(secret: str, timestamp: str, signed: bytes) -> str:
    """``sha256=<hex>`` over ``{timestamp}.{signed}``.

    ``timestamp`` is in whole seconds since 1970; ``signed`` is the body, or path and query where there is no body.
    """
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + signed, hashlib.sha256).hexdigest()
