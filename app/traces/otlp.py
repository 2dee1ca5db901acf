"""OTLP to spans and back; nothing outside the `otlp` modules knows the wire.

Read: OTLP/JSON (`resourceSpans`, hex ids, numeric enums), Tempo's proto-JSON (`batches` or a `trace` envelope, base64 ids,
enum names), one such object per line, a list of them, and the protobuf of either. Decoding is typed: what has the wrong
shape is an error with its place, never a surprise further in.
"""

from __future__ import annotations

from app.errors import NotATrace
from app.traces import garbage
from app.traces.otlp_json import decode_json
from app.traces.otlp_protobuf import decode_protobuf
from app.traces.otlp_reader import Decoded, hex_id
from app.traces.otlp_write import any_value, encode_json

__all__ = ["Decoded", "any_value", "decode", "encode_json", "hex_id"]


def decode(body: bytes, media_type: str | None = None) -> Decoded:
    """The spans in `body`.

    media_type: the Content-Type it came with; None sniffs.
    Errors: NotATrace with one sentence.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    try:
        with garbage.left():
            if "protobuf" in kind:
                return decode_protobuf(body)
            if "json" in kind:
                return decode_json(body)
            return _sniff(body)
    except RecursionError:
        raise NotATrace("This is not a trace: its values are nested too deeply.") from None


def _sniff(body: bytes) -> Decoded:
    if not body.strip():
        raise NotATrace("This is not a trace: it is empty.")
    if body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"{", b"["):
        try:
            return decode_json(body)
        except NotATrace:
            # A protobuf message begins with a newline's byte, and the length after it may look like a brace.
            if body[:1] != b"\n":
                raise
    return decode_protobuf(body)
