"""Options that stand in several commands, taken as one argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

__all__ = ["grouped"]


class _Group(NamedTuple):
    """An argument of a command that stands for many options."""

    kind: Any
    names: tuple[str, ...]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the fields of its named tuples as options of their own.

    An argument whose type is a ``NamedTuple`` is a group: each field is an option, with the field's annotation and
    default. The command itself gets the tuple.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, _Group] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not _is_group(kind):
            # By keyword only: what has no default may stand behind what has one.
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        of_fields = get_type_hints(kind, include_extras=True)
        groups[name] = _Group(kind, kind._fields)
        parameters += [
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=kind._field_defaults.get(field, inspect.Parameter.empty),
                annotation=of_fields[field],
            )
            for field in kind._fields
        ]

    def flat(**values: Any) -> None:
        filled = {
            name: group.kind(**{field: values.pop(field) for field in group.names})
            for name, group in groups.items()
        }
        command(**filled, **values)

    flat.__name__, flat.__doc__ = command.__name__, command.__doc__
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return flat


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
