"""Registries: things by name, filled by our own modules and by other people's packages.

A registry knows a package of ours, whose modules register themselves when imported, and an
entry-point group, under which installed packages announce theirs. Neither is imported before the
first look-up. Adding a thing therefore touches one file of its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from importlib.abc import InspectLoader
from typing import Generic, TypeVar

from bench.errors import UsageError, unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """A registry of one kind of thing.

    Args:
        kind: what the things are, for messages ("attention", "score", ...).
        package: dotted package whose modules hold ours, or None.
        group: entry-point group of other people's packages, or None.
        nested: dotted sub-module to import from each sub-package instead of the modules of the
            package itself ("task" imports `tasks.*.task`).
        mark: how a line begins that registers something ("@datasets("). Modules of the package
            without such a line are not imported: they may be slow to import.
        base: "module:Class" that the classes of other people's packages are to be derived from.
        instances: whether the things are instances of the base, not classes.
    """

    def __init__(
        self,
        kind: str,
        *,
        package: str | None,
        group: str | None = None,
        nested: str | None = None,
        mark: str = "",
        base: str = "",
        instances: bool = False,
    ) -> None:
        self.kind = kind
        self.package, self.group, self._nested, self._mark = package, group, nested, mark
        self._base, self._instances = base, instances
        self._things: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files a thing under `name`. A name in use raises ValueError."""

        def file(thing: T) -> T:
            held = self._things.get(name)
            if held is not None and _identity(held) != _identity(thing):
                raise ValueError(f"two {self.kind} entries are named '{name}': {held}, {thing}")
            self._things[name] = thing
            return thing

        return file

    def get(self, name: str, *, where: str = "") -> T:
        """Return the thing of that name. Raises UsageError naming the nearest name otherwise."""
        self._load()
        if name not in self._things:
            raise unknown_name(self.kind, name, self._things, where=where)
        return self._things[name]

    def names(self) -> list[str]:
        """Return all names, in the order of registration (ours first)."""
        self._load()
        return list(self._things)

    def items(self) -> Iterator[tuple[str, T]]:
        self._load()
        return iter(list(self._things.items()))

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._things

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # set first: a module being imported may look names up itself
        if self.package:
            try:
                _import_members(self.package, self._nested, self._mark)
            except BaseException:
                self._loaded = False  # else the next look-up would say that there is nothing
                raise
        if self.group:
            for point in importlib.metadata.entry_points(group=self.group):
                self._load_plugin(point)

    def _load_plugin(self, point: importlib.metadata.EntryPoint) -> None:
        # A broken package of somebody else must not break the suite.
        try:
            thing = point.load()
            fault = self._fault(thing)
        except Exception as error:
            thing, fault = None, f"{type(error).__name__}: {error}"
        if fault:
            warnings.warn(
                f"{self.kind} plugin '{point.name}' cannot be used: {point.value}: {fault}",
                stacklevel=2,
            )
            return
        try:
            self.register(point.name)(thing)
        except ValueError as error:
            raise UsageError(str(error), where=f"entry point {point.value}") from None

    def _fault(self, thing: object) -> str | None:
        if not self._base:
            return None
        module, _, name = self._base.partition(":")
        base = getattr(importlib.import_module(module), name)
        if not self._instances:
            return fault_of_class(thing, base)
        if isinstance(thing, base):
            return None
        return f"it must be an instance of a subclass of {base.__module__}.{base.__qualname__}"


def fault_of_class(thing: object, base: type) -> str | None:
    """Return why a thing is no concrete subclass of a base class, or None if it is."""
    if not (isinstance(thing, type) and issubclass(thing, base)):
        return f"it must be a subclass of {base.__module__}.{base.__qualname__}"
    if inspect.isabstract(thing):
        missing: frozenset[str] = getattr(thing, "__abstractmethods__")  # noqa: B009
        return f"it is abstract, and must define {', '.join(sorted(missing))}"
    return None


def _identity(thing: object) -> tuple[str, str]:
    # A reloaded module registers an equal class that is another object.
    kind = thing if isinstance(thing, type) else type(thing)
    return kind.__module__, kind.__qualname__


def _import_members(package: str, nested: str | None, mark: str) -> None:
    root = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(root.__path__), key=lambda found: found.name):
        name = f"{package}.{module.name}"
        if nested is None:
            if _registers(name, mark):
                importlib.import_module(name)
        elif module.ispkg and importlib.util.find_spec(f"{name}.{nested}"):
            importlib.import_module(f"{name}.{nested}")


def _registers(module: str, mark: str) -> bool:
    """Whether a module has a line that begins with the mark; True where its text is not known."""
    spec = importlib.util.find_spec(module)
    loader = spec.loader if spec else None
    text = loader.get_source(module) if isinstance(loader, InspectLoader) else None
    return text is None or re.search(f"^{re.escape(mark)}", text, re.MULTILINE) is not None
