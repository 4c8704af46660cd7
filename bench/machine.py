"""Where a bench ran: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["Machine", "this_machine"]

Machine = dict[str, str | int | float]

LIBRARIES = (
    "tapewire",
    "picows",
    "uvloop",
    "msgspec",
    "aiohttp",
    "starlette",
    "uvicorn",
    "websockets",
    "orjson",
    "lightmatchingengine",
    "bourse",
)


def this_machine() -> Machine:
    """Describe this machine: processor, cores, how busy it is, Python, libraries."""
    machine: Machine = {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for library in LIBRARIES:
        try:
            machine[library] = version(library)
        except PackageNotFoundError:
            machine[library] = "not installed"
    return machine


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
