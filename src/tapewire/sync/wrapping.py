"""Methods of the asynchronous classes as blocking ones: a line each, with the types that they have there.

::

    class Broker(Blocking[tapewire.Broker]):
        time = called(tapewire.Broker.time)       # async def → waits for the result
        book = streamed(tapewire.Broker.book)     # returns a Subscription → returns a Stream
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from tapewire.client.subscription import Subscription
from tapewire.model import Record
from tapewire.sync.loop_thread import LoopThread
from tapewire.sync.stream import Stream

__all__ = ["Blocking", "called", "streamed"]

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Blocking(Generic[A]):
    """The blocking face of an asynchronous object, which lives on the loop of another thread."""

    def __init__(self, inner: A, loop: LoopThread) -> None:
        #: The asynchronous object, to be used on its loop only.
        self.inner = inner
        self.loop = loop


class called(Generic[P, T]):  # noqa: N801  (read as a decorator is)
    """An ``async`` method, for whose result the caller waits."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Blocking[Any], kind: type) -> Callable[P, T]:
        @wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner.loop.call(self._method(owner.inner, *args, **kwargs))

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
                return self._method(owner.inner, *args, **kwargs)

            return Stream(owner.loop.call(on_its_loop()), owner.loop)

        return make
