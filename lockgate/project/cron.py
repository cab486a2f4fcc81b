"""Cron expressions of six fields, seconds first, as Kubeflow Pipelines reads them."""

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Of each field: its name, the smallest and the largest number, and the words that stand for numbers.
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 6, DAYS),
)
EXAMPLE = "0 0 3 * * * is every day at 03:00 UTC"


def check_cron(text: str) -> str:
    """Returns the expression with single spaces between its fields.

    A field is a list of numbers, ranges and steps: `5`, `1-5`, `*/15`, `MON,WED`; `*` and `?` are any.

    Raises:
        ValueError: the number of fields, or a field, is wrong; the words say which.

    >>> check_cron("0  30 3 ? * MON-FRI")
    '0 30 3 ? * MON-FRI'
    """
    fields = text.split()
    if len(fields) != len(FIELDS):
        more = "; put the seconds first" if len(fields) == len(FIELDS) - 1 else ""
        raise ValueError(f"{text!r} has {len(fields)} fields, and six are needed{more} ({EXAMPLE})")
    for field, (name, low, high, words) in zip(fields, FIELDS, strict=True):
        for part in field.split(","):
            if problem := _problem(part, low, high, words):
                raise ValueError(f"{text!r}: the {name} {part!r} {problem} ({EXAMPLE})")
    return " ".join(fields)


def _problem(part: str, low: int, high: int, words: tuple[str, ...]) -> str:
    """What is wrong with one part of a field; empty where nothing is."""
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return "has a step that is no whole number above 0"
    if span in ("*", "?"):
        return ""
    ends = [_number(end, low, words) for end in span.split("-")]
    allowed = f"must lie in {low} to {high}" + (f", or {words[0]} to {words[-1]}" if words else "")
    if len(ends) > 2 or any(end is None or not low <= end <= high for end in ends):
        return allowed
    first, last = ends[0], ends[-1]
    return "" if first is not None and last is not None and first <= last else "runs backwards"


def _number(text: str, low: int, words: tuple[str, ...]) -> int | None:
    if text.upper() in words:
        return words.index(text.upper()) + low
    return int(text) if text.isascii() and text.isdigit() else None
