"""Stands in for pyfarmhash, which has no wheels and would need a compiler; see requirements/overrides.txt.

TFDV imports it at the top, but uses it only in Beam jobs that Lockgate does not run.
"""


def __getattr__(name: str) -> object:
    """Says why there is nothing here."""
    raise AttributeError(
        f"farmhash.{name} is not there: pyfarmhash is left out. Install it to use TFDV's Beam jobs."
    )
