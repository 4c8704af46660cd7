"""Fixtures for tests of trading programs: a whole broker in the process, on virtual time.

Name the plugin in your ``conftest.py`` and write tests as coroutines::

    pytest_plugins = ["tapewire.testing"]

    @pytest.mark.virtual(seed=7)
    async def test_my_program(broker, system): ...

A marked test runs on a loop whose time jumps: ``asyncio.sleep(3600)`` costs nothing. The fixtures are

=============  =========================================================================================
``system``     a running ``SimulatedSystem``: market, exchange, gateway; ``network`` and ``http`` break
``broker``     a ``Broker`` that is connected to it
=============  =========================================================================================

The mark takes the arguments of ``SimulatedSystem`` (``seed``, ``symbols``, ``faults`` …) and of ``run_virtual``
(``start``, ``limit_s``). A test that leaves tasks behind fails; so does one that waits for what never comes.
Needs pytest and ``tapewire[server]``. Nothing else of tapewire imports this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from tapewire.client.broker import Broker
from tapewire.simulation import SimulatedSystem, run_virtual

__all__ = ["broker", "system"]

_OF_THE_RUN = ("start", "limit_s", "turns_max")


class _InVirtualTime:
    """Stands for what there is only while the loop runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, _name: str) -> Any:
        raise AttributeError(f"the fixture {self._name!r} is for coroutines marked `@pytest.mark.virtual`")


@pytest.fixture
def system() -> Any:
    """A simulated trading system that runs while the test does."""
    return _InVirtualTime("system")


@pytest.fixture
def broker() -> Any:
    """A broker that is connected to the simulated system."""
    return _InVirtualTime("broker")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "virtual(**settings): run this coroutine on virtual time")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a marked coroutine against a system of its own."""
    mark = pyfuncitem.get_closest_marker("virtual")
    if mark is None:
        return None
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        pytest.fail("`@pytest.mark.virtual` is for coroutines: async def", pytrace=False)
    if mark.args:
        pytest.fail("`@pytest.mark.virtual` takes settings by name", pytrace=False)
    run = {name: value for name, value in mark.kwargs.items() if name in _OF_THE_RUN}
    settings = {name: value for name, value in mark.kwargs.items() if name not in run}
    # pytest gives more than the function takes: fixtures that others of its fixtures need.
    taken = inspect.signature(function).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in taken}
    run_virtual(lambda: _run(function, arguments, settings), **run)
    return True


async def _run(function: Any, arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    async with SimulatedSystem(**settings) as running:
        present: dict[str, Any] = {"system": running}
        if "broker" not in arguments:
            await function(**{name: present.get(name, value) for name, value in arguments.items()})
            return
        async with running.connect() as connected:
            assert isinstance(connected, Broker)
            present["broker"] = connected
            await function(**{name: present.get(name, value) for name, value in arguments.items()})
