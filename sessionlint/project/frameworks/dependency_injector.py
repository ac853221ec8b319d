"""dependency-injector: what its providers build, and whether it is kept.

Source: https://python-dependency-injector.ets-labs.org/providers/
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

DEPENDENCY_INJECTOR = Framework(
    packages=frozenset({"dependency_injector"}),
    provides=frozenset({"Callable", "Coroutine", "Factory", "Resource", "Singleton", "ThreadSafeSingleton"}),
    keeps=frozenset({"Singleton", "ThreadSafeSingleton"}),
    renews=frozenset({"Factory", "FactoryAggregate", "ContextLocalSingleton", "ThreadLocalSingleton", "Callable"}),
)
