"""How objects become the bytes of an item, and back."""
import functools
import json
import pickle
from typing import Any, Callable, NamedTuple, Union


class Codec(NamedTuple):
    """`encode` makes bytes of an object, `decode` the object again. Any two functions will do."""

    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError("a queue with codec 'bytes' takes bytes, not %s" % type(value).__name__)


def _to_str(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("a queue with codec 'str' takes str, not %s" % type(value).__name__)
    return value.encode()


CODECS = {codec.name: codec for codec in (
    # protocol 5 is the newest that Python 3.9 can read, too
    Codec("pickle", functools.partial(pickle.dumps, protocol=5), pickle.loads),
    Codec("json", _to_json, json.loads),
    Codec("bytes", _to_bytes, bytes),
    Codec("str", _to_str, bytes.decode),
)}


def _checked(codec: Codec) -> Codec:
    """A codec of somebody's own: what it makes is looked at when an object is put, not when it is sent."""
    def encode(value: Any) -> bytes:
        body = codec.encode(value)
        if not isinstance(body, bytes):
            raise TypeError("codec %r makes %s of an object, not bytes" % (codec.name, type(body).__name__))
        return body
    return codec._replace(encode=encode)


def find_codec(codec: Union[str, Codec]) -> Codec:
    if isinstance(codec, Codec):
        return _checked(codec)
    try:
        return CODECS[codec]
    except (KeyError, TypeError):
        raise ValueError("codec %r: one of %s, or a netqueue.Codec" % (codec, ", ".join(CODECS))) from None
