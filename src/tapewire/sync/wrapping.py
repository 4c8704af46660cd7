"""Methods of the asynchronous classes as blocking ones: a line each, with the types that they have there.

::

    class Broker(Blocking[tapewire.Broker]):
        time = called(tapewire.Broker.time)       # async def → waits for the result
        book = streamed(tapewire.Broker.book)     # returns a Subscription → returns a Stream
        received: looked[int] = looked(tapewire.Broker.received)    # a property → read on the loop
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from tapewire.client.subscription import Subscription
from tapewire.model import Record
from tapewire.sync.loop_thread import LoopThread
from tapewire.sync.stream import Stream

__all__ = ["Blocking", "called", "looked", "streamed"]

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R", bound=Record)
T = TypeVar("T")

_NO_CALLBACKS = (
    "tapewire.sync has no callbacks: iterate in a thread of your own, `for trade in broker.trades(symbol)`;"
    " tapewire.connect() has them"
)


class Blocking(Generic[A]):
    """The blocking face of an asynchronous object, which lives on the loop of another thread."""

    def __init__(self, inner: A, loop: LoopThread) -> None:
        # The asynchronous object is used on its loop only, and nowhere but here.
        self._inner = inner
        self._loop = loop

    def __repr__(self) -> str:
        return self._loop.look(lambda: repr(self._inner))

    if not TYPE_CHECKING:  # a checker finds the mistake by itself

        def __getattr__(self, name: str) -> Any:
            if name == "callbacks" or name.startswith("on_"):
                raise AttributeError(_NO_CALLBACKS, name=name, obj=self)
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", name=name, obj=self)


class called(Generic[P, T]):  # noqa: N801  (read as a decorator is)
    """An ``async`` method, for whose result the caller waits."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Blocking[Any], kind: type) -> Callable[P, T]:
        @wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner._loop.call(self._method(owner._inner, *args, **kwargs))  # noqa: SLF001

        return call


class streamed(Generic[P, R]):  # noqa: N801
    """A method that returns a stream."""

    def __init__(self, method: Callable[Concatenate[Any, P], Subscription[R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Blocking[Any], kind: type) -> Callable[P, Stream[R]]:
        @wraps(self._method)
        def make(*args: P.args, **kwargs: P.kwargs) -> Stream[R]:
            async def on_its_loop() -> Subscription[R]:
                return self._method(owner._inner, *args, **kwargs)  # noqa: SLF001

            return Stream(owner._loop.call(on_its_loop()), owner._loop)  # noqa: SLF001

        return make


class looked(Generic[T]):  # noqa: N801
    """A property of what changes on the loop: it is read there, and what is returned changes no more.

    Args:
        attribute: The property. Checkers do not agree on its type, so the result is written beside it.
        copied: Makes the result of what would change on.
    """

    def __init__(self, attribute: Any, copied: Callable[[Any], T] | None = None) -> None:
        self._attribute = attribute
        self._copied = copied
        self.__doc__ = attribute.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: Blocking[Any], kind: type) -> T: ...

    def __get__(self, owner: Blocking[Any] | None, kind: type) -> Any:
        if owner is None:
            return self
        inner = owner._inner  # noqa: SLF001

        def look() -> Any:
            found = self._attribute.__get__(inner)
            return found if self._copied is None else self._copied(found)

        return owner._loop.look(look)  # noqa: SLF001
