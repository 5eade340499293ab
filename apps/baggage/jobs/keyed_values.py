"""Keyed state of one packed value, with a cache in front of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

# More than an airport has on their way at a time; each takes one or two kilobytes.
_MOST_CACHED = 25_000

V = TypeVar("V")


class KeyedValues(Generic[V]):
    """All that an operator keeps of a key is one value, since what a record costs is mostly the access to the state.

    A value is read once and then kept in a cache, which a restart empties; every change is written through. Keys are
    the operator's current key, which the caller has at hand: to ask Flink for it costs more than to look it up.
    """

    def __init__(
        self, context: RuntimeContext, name: str, pack: Callable[[V], bytes], unpack: Callable[[bytes], V]
    ) -> None:
        self._state = context.get_state(ValueStateDescriptor(name, Types.PICKLED_BYTE_ARRAY()))
        self._pack, self._unpack = pack, unpack
        self._cache: OrderedDict[str, V | None] = OrderedDict()

    def get(self, key: str) -> V | None:
        """The value of the current key. Whoever changes it must `put` it."""
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        packed = self._state.value()
        value = None if packed is None else self._unpack(packed)
        self._keep(key, value)
        return value

    def put(self, key: str, value: V) -> None:
        """Store the value of the current key."""
        self._state.update(self._pack(value))
        self._keep(key, value)

    def clear(self, key: str) -> None:
        """Forget the current key."""
        self._state.clear()
        self._cache.pop(key, None)

    def _keep(self, key: str, value: V | None) -> None:
        self._cache[key] = value
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
