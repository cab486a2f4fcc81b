"""Numbers as a person reads them: thousands separated, as many digits as mean something."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

NONE = "–"
MINUS = "\N{MINUS SIGN}"


def count(value: float | None) -> str:
    """A whole number with thousands separators.

    >>> count(336776)
    '336,776'
    """
    if value is None or not math.isfinite(value):
        return NONE
    return f"{round(value):,}".replace("-", MINUS)


def number(value: float | None, digits: int = 4) -> str:
    """A measured number with so many significant digits, and with separators when it is large.

    >>> number(0.738124), number(12345.678), number(-2.5), number(0.00000123), number(None)
    ('0.7381', '12,346', '−2.5', '1.23e−6', '–')

    Years and other numbers of four digits have no separator: ``number(2013)`` is "2013".
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent >= 12:
        mantissa, _, power = f"{value:.{max(digits - 2, 0)}e}".partition("e")
        return f"{mantissa}e{int(power)}".replace("-", MINUS)
    decimals = max(digits - 1 - exponent, 0)
    text = f"{value:,.{decimals}f}" if abs(value) >= 10_000 else f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def fixed(value: float | None, decimals: int = 4) -> str:
    """A number with so many decimals, so that a column of them lines up.

    >>> fixed(0.7), fixed(1234.5, 1)
    ('0.7000', '1,234.5')
    """
    if value is None or not math.isfinite(value):
        return NONE if value is None or math.isnan(value) else number(value)
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def signed(value: float | None, decimals: int = 4) -> str:
    """A difference: always with its sign.

    >>> signed(0.0123), signed(-0.5, 1)
    ('+0.0123', '−0.5')
    """
    if value is None or math.isnan(value):
        return NONE
    return f"{value:+,.{decimals}f}".replace("-", MINUS)


def percent(value: float | None, decimals: int | None = None) -> str:
    """A share in percent; a share that is not 0 or 1 is never shown as 0 % or 100 %.

    >>> percent(0.2371), percent(0), percent(0.00001), percent(0.99999), percent(1)
    ('23.7%', '0%', '<0.01%', '>99.99%', '100%')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value in (0, 1):
        return f"{value:.0%}"
    if abs(value) < 0.0001:
        return "<0.01%"
    if 0.9999 < value < 1:
        return ">99.99%"
    if decimals is None:
        decimals = 1 if 0.01 <= abs(value) <= 0.99 or abs(value) > 1 else 2
    return f"{value:.{decimals}%}".replace("-", MINUS)


def seconds(value: float | None) -> str:
    """A stretch of time, given in seconds.

    >>> seconds(0.0031), seconds(1.234), seconds(75.2), seconds(7300)
    ('3.1 ms', '1.2 s', '1 min 15 s', '2 h 1 min')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value < 1:
        return f"{value * 1000:.{1 if value < 0.1 else 0}f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def date(value: datetime | None) -> str:
    """A moment in UTC; midnight is only a day.

    >>> date(datetime(2013, 1, 1, tzinfo=UTC)), date(datetime(2013, 1, 1, 5, 15, tzinfo=UTC))
    ('2013-01-01', '2013-01-01 05:15')
    """
    if value is None:
        return NONE
    value = value.astimezone(UTC) if value.tzinfo else value
    return (
        f"{value:%Y-%m-%d}"
        if (value.hour, value.minute, value.second) == (0, 0, 0)
        else f"{value:%Y-%m-%d %H:%M}"
    )


def day(value: datetime | None) -> str:
    """The day of a moment in UTC."""
    return date(value)[:10]


def plural(n: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> plural(1, "warning"), plural(2, "warning"), plural(1200, "category", "categories")
    ('1 warning', '2 warnings', '1,200 categories')
    """
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def short(digest: str, length: int = 12) -> str:
    """The first digits of a digest, enough to tell two apart by eye."""
    return digest[:length]


def words(name: str) -> str:
    """An identifier as words: 'log_loss' is 'log loss'; known abbreviations in capitals.

    >>> words("roc_auc"), words("champion_margin")
    ('ROC AUC', 'champion margin')
    """
    return " ".join(part.upper() if part in _CAPITALS else part for part in name.replace("-", "_").split("_"))


def heading(name: str) -> str:
    """Like `words`, with a capital at the start.

    >>> heading("log_loss"), heading("roc_auc")
    ('Log loss', 'ROC AUC')
    """
    text = words(name)
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A phrase as a sentence.

    >>> sentence("no requests come"), sentence("It is bad.")
    ('No requests come.', 'It is bad.')
    """
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""


_CAPITALS = {"roc", "auc", "pr", "rmse", "mae", "ece", "mcc", "mape", "id", "url", "http"}

FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "number": number,
    "fixed": fixed,
    "signed": signed,
    "percent": percent,
    "seconds": seconds,
    "date": date,
    "day": day,
    "plural": plural,
    "short": short,
    "words": words,
    "heading": heading,
}
