"""How a step's process is set up: it lives for seconds, so most of its time can go into imports."""

import atexit
import gc

ALLOCATIONS = 50_000


def collect_rarely() -> None:
    """Looks for garbage cycles seldom, and not at all when the process ends.

    Importing TensorFlow makes millions of objects that stay: looking through them while they are made
    takes a fifth of the import, and looking through them once more at the end takes a second.
    """
    gc.set_threshold(ALLOCATIONS, 20, 100)
    atexit.register(gc.freeze)
