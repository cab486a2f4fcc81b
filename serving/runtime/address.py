"""The address that the server listens on."""

import socket

from lockgate.errors import ServingError


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes any free one.

    Raises:
        ServingError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ServingError(
            f"Nothing can listen on {host}:{port}: {error.strerror}.",
            "A free port and an address of this machine are needed.",
            "Choose another port with --port; 0 takes any free one.",
        ) from None
    return bound
