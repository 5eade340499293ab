"""Keyed state of one packed value, with a cache in front of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec
from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

# More than an airport has on their way at a time; each takes one or two kilobytes.
_MAX_CACHED_KEYS = 25_000

V = TypeVar("V", bound=msgspec.Struct)

_encode = msgspec.msgpack.Encoder().encode


class KeyedValues(Generic[V]):
    """All that an operator keeps of a key is one value, since what a record costs is mostly the access to the state.

    A value is read once and then kept in a cache, which a restart empties; every change is written through. Keys are
    the operator's current key, which the caller has at hand: to ask Flink for it costs more than to look it up.
    """

    def __init__(self, context: RuntimeContext, name: str, value_type: type[V]) -> None:
        self._state = context.get_state(ValueStateDescriptor(name, Types.PICKLED_BYTE_ARRAY()))
        self._decode = msgspec.msgpack.Decoder(value_type).decode
        self._cache: OrderedDict[str, V | None] = OrderedDict()

    def get(self, key: str) -> V | None:
        """The value of the current key. Whoever changes it must `put` or `forget` it."""
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        packed = self._state.value()
        value = None if packed is None else self._decode(packed)
        self._keep(key, value)
        return value

    def put(self, key: str, value: V) -> None:
        """Store the value of the current key."""
        self._state.update(_encode(value))
        self._keep(key, value)

    def clear(self, key: str) -> None:
        """Delete the value of the current key."""
        self._state.clear()
        self._cache.pop(key, None)

    def forget(self, key: str) -> None:
        """Give up what was changed and not put: the next `get` reads what is stored."""
        self._cache.pop(key, None)

    def _keep(self, key: str, value: V | None) -> None:
        self._cache[key] = value
        if len(self._cache) > _MAX_CACHED_KEYS:
            self._cache.popitem(last=False)
