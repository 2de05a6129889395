"""A response: status, headers, the body unpacked up to a limit, the text of a refusal. Pure."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Mapping
from typing import Any

import attrs

from .. import errors
from .._credentials import Secret

_TEXT_KEYS = ("description", "error", "message", "msg", "detail", "title")
_REQUEST_ID = re.compile(r"request id: ?([\w-]+)")
_LONGEST_TEXT = 500
_LONGEST_SNIPPET = 200
_LONGEST_CODE = 60
_PIECE = 16 * 1024


@attrs.frozen(kw_only=True)
class APIResponse:
    """A response that has been read to its end.

    `status` is None for the body of a webhook, `task_id` if the request was about many tasks.
    `key` must not be quoted; `retry_after` is in seconds.
    """

    body: bytes = attrs.field(repr=False)  # it may quote the key, and tracebacks show locals
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    task_id: str | None = None
    key: Secret = Secret("")
    retry_after: float | None = None

    @property
    def is_html(self) -> bool:
        """True if the body is a page for people."""
        return self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"

    def decompressed(self, limit: int) -> APIResponse:
        """Return the response with its body decompressed, but never past the limit in bytes.

        Raises:
            UnexpectedAnswerError: The body is above the limit, or was cut: half a gzip body may
                decompress to nothing, which would mean "unknown id".
        """
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if not self.body or encoding in ("", "identity"):  # a 204 may name an encoding
            if len(self.body) > limit:
                raise self.unexpected("too large")
            return self
        if encoding not in ("gzip", "x-gzip"):  # only gzip is asked for
            raise attrs.evolve(self, body=b"").unexpected("json")
        response, reason = self._gunzipped(limit)
        if reason is not None:
            raise response.unexpected(reason)
        return response

    def _gunzipped(self, limit: int) -> tuple[APIResponse, errors.UnexpectedReason | None]:
        # It does not raise itself: a traceback shows the locals of the frame that does.
        body, reason = _gunzip(self.body, limit)
        return attrs.evolve(self, body=body), reason

    def with_key_redacted(self) -> APIResponse:
        """Return the response without the key, which a gateway may quote."""
        body = self.key.conceal_in(self.body)
        return self if body is self.body else attrs.evolve(self, body=body)

    def unexpected(self, reason: errors.UnexpectedReason) -> errors.UnexpectedAnswerError:
        """Return the error for a response that is not of this API."""
        text = self._text(4 * _LONGEST_SNIPPET)
        return errors.UnexpectedAnswerError(
            reason,
            status_code=self.status,
            content_type=printable(self.headers.get("content-type", ""), self.key),
            snippet=printable(text, self.key)[:_LONGEST_SNIPPET],
            task_id=self.task_id,
        )

    def refusal(self, kind: type[errors.APIError], raw: Any = None) -> errors.APIError:
        """Return the error for a response that refuses the request."""
        is_text = raw is None and not self.is_html
        text = refusal_text(raw) or (self._text(4 * _LONGEST_TEXT) if is_text else "")
        description = printable(text, self.key)
        match = _REQUEST_ID.search(description)
        code = refusal_code(raw)
        return kind(
            status_code=self.status,
            code=printable(code, self.key)[:_LONGEST_CODE] if isinstance(code, str) else code,
            description=description[:_LONGEST_TEXT],
            request_id=match[1] if match else self._header_request_id(),
            retry_after=self.retry_after,
            task_id=self.task_id,
        )

    def _text(self, longest: int) -> str:
        # The key is redacted before the text is cut: half a key would not be found any more.
        return self.key.conceal_in(self.body)[:longest].decode(errors="replace")

    def _header_request_id(self) -> str | None:
        for name in ("x-oneapi-request-id", "x-request-id"):
            if self.headers.get(name):
                return printable(self.headers[name], self.key)
        return None


def printable(text: str, key: Secret) -> str:
    """Return the text of a gateway on one line, without control characters and the key."""
    printable = "".join(
        character if unicodedata.category(character)[0] != "C" else " " for character in text
    )
    return key.conceal(" ".join(printable.split()))


def refusal_text(raw: Any) -> str:
    """Return the text of a refusal, or "": gateways put it in six places."""
    if isinstance(raw, str):
        return raw
    texts = (envelope.get(key) for envelope in _envelopes(raw) for key in _TEXT_KEYS)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def refusal_code(raw: Any) -> int | str | None:
    """Return the gateway's own code from an envelope, or from the `error` inside it."""
    codes = (envelope.get("code") for envelope in _envelopes(raw))
    return next((code for code in codes if type(code) in (int, str) and code != ""), None)


def _envelopes(raw: Any) -> list[dict[str, Any]]:
    inner = raw.get("error") if isinstance(raw, dict) else None
    return [envelope for envelope in (raw, inner) if isinstance(envelope, dict)]


def _gunzip(compressed: bytes, limit: int) -> tuple[bytes, errors.UnexpectedReason | None]:
    body, rest = bytearray(), memoryview(compressed)
    while True:  # gzip may have several members, the first of them empty
        member = zlib.decompressobj(wbits=31)
        while rest and not member.eof:
            piece = rest[:_PIECE]  # for zlib copies all that is behind a member
            try:
                body += member.decompress(piece, limit + 1 - len(body))
            except zlib.error:
                return b"", "cut short"
            if len(body) > limit:
                return bytes(body[:_PIECE]), "too large"
            rest = rest[len(piece) - len(member.unused_data) :]
        if not member.eof:
            return b"", "cut short"
        if not any(rest[:_PIECE]):  # zeros may pad the end
            return bytes(body), None
