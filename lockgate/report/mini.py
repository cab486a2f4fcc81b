"""Word-sized pictures for tables: compact SVG made by hand, for there are hundreds of them on a page."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from lockgate.report.numbers import number


def _svg(width: float, height: float, label: str, body: str) -> Markup:
    return Markup(  # noqa: S704 - the label is escaped, the body is made of numbers
        f'<svg class="mini" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def bars(
    shares: Sequence[float],
    *,
    top: float,
    colour: str,
    label: str,
    outline: Sequence[float] = (),
    rest: float | None = None,
    width: float = 122,
    height: float = 34,
) -> Markup:
    """A histogram, `top` the share that reaches the upper edge; `outline` is another one to compare with.

    `rest`, when given, is a last, grey bar: what the other bars leave out.
    """
    if not shares or top <= 0:
        return _svg(width, height, label, _baseline(width, height))
    places = len(shares) + (rest is not None)
    # A few categories get slim bars: wide ones would look like a trend.
    step = min(width / places, 14.0)
    gap = 1 if step > 3 else 0

    def up(share: float) -> float:
        return height - 1 - min(share / top, 1) * (height - 2)

    path = "".join(
        f"M{_n(k * step)} {height - 1:g}V{_n(min(up(s), height - 2))}h{_n(step - gap)}V{height - 1:g}"
        for k, s in enumerate(shares)
        if s > 0
    )
    body = f'<path d="{path}" fill="{colour}" fill-opacity=".75"/>'
    if rest is not None:
        edge = f"{height - 1:g}"
        path = f"M{_n(len(shares) * step)} {edge}V{_n(up(rest))}h{_n(step - gap)}V{edge}"
        body += f'<path d="{path}" fill="var(--rest)"/>'
    if outline:
        line = "".join(f"V{_n(up(s))}h{_n(step)}" for s in outline)
        body += f'<path d="M0 {height - 1:g}{line}" fill="none" stroke="var(--ghost)"/>'
    return _svg(width, height, label, body + _baseline(width, height))


def _baseline(width: float, height: float) -> str:
    return f'<path d="M0 {height - 0.5:g}h{width:g}" stroke="var(--axis)" stroke-width=".6"/>'


def whisker(
    value: float,
    low: float | None,
    high: float | None,
    *,
    domain: tuple[float, float],
    label: str,
    colour: str = "var(--c1)",
    reference: float | None = None,
    width: float = 240,
) -> Markup:
    """A dot with its interval on a common scale, and a line at the reference."""
    height = 22.0
    x = _scale(domain, width)
    parts = [f'<path d="M0 11h{width:g}" stroke="var(--grid)"/>']
    if reference is not None:
        parts.append(f'<path d="M{_n(x(reference))} 0v22" stroke="var(--axis)" stroke-dasharray="2 2"/>')
    if low is not None and high is not None and low <= domain[1] and high >= domain[0]:
        span = f"M{_n(x(low))} 11H{_n(x(high))}"
        parts.append(f'<path d="{span}" stroke="{colour}" stroke-width="2" stroke-linecap="round"/>')
    if domain[0] <= value <= domain[1]:
        parts.append(f'<circle cx="{_n(x(value))}" cy="11" r="3.6" fill="{colour}"/>')
    else:
        # Off the scale: an arrow at the end that it lies beyond.
        end, back = (0.0, 7) if value < domain[0] else (width, -7)
        parts.append(f'<path d="M{end:g} 11l{back} -4.5v9z" fill="{colour}"/>')
    return _svg(width, height, label, "".join(parts))


def bar(
    value: float,
    *,
    domain: tuple[float, float],
    label: str,
    low: float | None = None,
    high: float | None = None,
    colour: str = "var(--c1)",
    width: float = 240,
) -> Markup:
    """A bar from zero, with its interval as a thin line."""
    height = 18.0
    x = _scale(domain, width)
    zero, end = x(0.0), x(value)
    left, size = min(zero, end), max(abs(end - zero), 1)
    body = f'<rect x="{_n(left)}" y="4" width="{_n(size)}" height="10" fill="{colour}" fill-opacity=".75"/>'
    if low is not None and high is not None:
        body += f'<path d="M{_n(x(low))} 9H{_n(x(high))}" stroke="var(--text)" stroke-width="1"/>'
    body += f'<path d="M{_n(zero)} 1v16" stroke="var(--axis)"/>'
    return _svg(width, height, label, body)


def scale(texts: tuple[str, str], *, width: float = 240) -> Markup:
    """The ends of a scale for the head of a column of whiskers or bars."""
    left, right = texts
    style = 'y="11" font-size="11" fill="var(--soft)"'
    body = (
        f'<text x="0" {style}>{escape(left)}</text>'
        f'<text x="{width:g}" {style} text-anchor="end">{escape(right)}</text>'
    )
    return _svg(width, 14, f"scale from {left} to {right}", body)


def dots(
    values: Sequence[float], mean: float, *, domain: tuple[float, float], label: str, width: float = 240
) -> Markup:
    """Single values as faint dots, with their mean as a line."""
    x = _scale(domain, width)
    parts = [f'<path d="M0 11h{width:g}" stroke="var(--grid)"/>']
    parts += [f'<circle cx="{_n(x(v))}" cy="11" r="3.4" fill="var(--c1)" fill-opacity=".5"/>' for v in values]
    parts.append(f'<path d="M{_n(x(mean))} 3v16" stroke="var(--text)" stroke-width="1.6"/>')
    return _svg(width, 22.0, label, "".join(parts))


def ends(domain: tuple[float, float], *, width: float = 240) -> Markup:
    """The two ends of a scale, as numbers."""
    low, high = domain
    digits = 3 if high - low > abs(high) * 0.02 else 5
    return scale((number(low, digits), number(high, digits)), width=width)


def _scale(domain: tuple[float, float], width: float, margin: float = 5.0) -> "_Scale":
    return _Scale(domain[0], domain[1], width, margin)


class _Scale:
    def __init__(self, low: float, high: float, width: float, margin: float) -> None:
        self.low, self.span = low, (high - low) or 1.0
        self.width, self.margin = width, margin

    def __call__(self, value: float) -> float:
        share = min(max((value - self.low) / self.span, 0.0), 1.0)
        return self.margin + share * (self.width - 2 * self.margin)


def domain_of(
    values: Sequence[float | None], *, zero: bool = False, pad: float = 0.04
) -> tuple[float, float]:
    """The ends of a scale that holds all finite values with a little room; (0, 1) when there is none."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if zero:
        known.append(0.0)
    if not known or min(known) == max(known):
        middle = known[0] if known else 0.5
        return (middle - 0.5, middle + 0.5)
    room = (max(known) - min(known)) * pad
    return (min(known) - room, max(known) + room)
