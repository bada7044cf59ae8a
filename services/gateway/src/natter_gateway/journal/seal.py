"""Seals texts in a journal under a key that is only in the session's snapshot, and goes with it."""

import base64
import binascii
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_NONCE_BYTES: Final = 12


class SealError(ValueError):
    """Nothing that was sealed under this key."""


def new_key() -> str:
    """A key for one session: 32 random bytes in hexadecimal digits."""
    return ChaCha20Poly1305.generate_key().hex()


class Seal:
    """ChaCha20-Poly1305 (RFC 8439) with a random nonce before each text."""

    def __init__(self, key: str) -> None:
        """Raises `ValueError` where `key` is none of `new_key`."""
        self._cipher: Final = ChaCha20Poly1305(bytes.fromhex(key))

    def close(self, text: str) -> str:
        """Seal a text: base64. Halves of surrogate pairs, which UTF-8 has no bytes for, become question marks."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(errors="replace"), None)).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises `SealError`."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SealError("sealed under another key") from error
