"""What the proxy refuses before Envoy hears of it."""

import re
from collections.abc import Collection

from lockgate.errors import ServingError
from serving.laptop.envoy import Route

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
ADDRESS = re.compile(r"[0-9.]+:[0-9]+")


def check_backend(name: str, address: str) -> None:
    """Refuses what is no name or no address of a model server.

    Raises:
        ServingError: so.
    """
    if not NAME.fullmatch(name) or not ADDRESS.fullmatch(address):
        raise ServingError(
            f"{name!r} at {address!r} is no backend.",
            "A backend has a name of small letters, digits and '-', and an address like 127.0.0.1:8080.",
            "Name it as its revision, <model>-<first 8 digits of the digest>.",
        )


def check_route(route: Route, backends: Collection[str]) -> None:
    """Refuses a split that names an unknown backend, or splits nothing.

    Raises:
        ServingError: so.
    """
    named = [*route.weights, *filter(None, [route.mirror_to])]
    if unknown := sorted(set(named) - set(backends)):
        raise ServingError(
            f"The proxy does not know {', '.join(unknown)}.",
            f"It knows {', '.join(backends) or 'no backend'}.",
            "Connect the model server first.",
        )
    if min(route.weights.values(), default=0) < 0 or not any(route.weights.values()):
        raise ServingError(
            f"The weights {dict(route.weights)} split nothing.",
            "Weights are whole numbers from 0 on, at least one of them above 0.",
        )
    if not 0 <= route.mirror_percent <= 100 or (route.mirror_percent and route.mirror_to is None):
        raise ServingError(
            f"{route.mirror_percent} % of copies to {route.mirror_to} cannot be.",
            "From 0 to 100 percent can be copied, to a backend that is named.",
        )
