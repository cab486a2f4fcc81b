"""The data: where it comes from, every column by split side by side, and what changed."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile, Profile
from lockgate.records import Check, Snapshot, Split, Verdict
from lockgate.report import mini, numbers
from lockgate.report.chart import SPLIT_COLOURS
from lockgate.report.distribution import Shares, distance, shares_of
from lockgate.report.document import Section, render

_OPEN_ROWS = 40
SPLITS: tuple[Split, ...] = get_args(Split)


def sections(
    snapshot: Snapshot,
    profile: Profile,
    verdict: Verdict | None = None,
    previous: Profile | None = None,
    *,
    label: str = "",
) -> list[Section]:
    """The snapshot, its columns by how much they change, and what changed since `previous`.

    Args:
        snapshot: the data of the run.
        profile: its statistics.
        verdict: the data gate's; columns with a failed check are marked.
        previous: the statistics of the snapshot before, when there is one.
        label: the column to predict; it stands first.
    """
    found = [_snapshot(snapshot), _columns(profile, verdict, label)]
    if previous is not None:
        found.insert(1, _previous(profile, previous))
    return found


def _snapshot(snapshot: Snapshot) -> Section:
    splits = []
    for split in SPLITS:
        parts = [p for p in snapshot.partitions if p.split == split]
        times = [t for p in parts for t in (p.time_min, p.time_max) if t is not None]
        rows = snapshot.rows_of(split)
        if parts:
            splits.append(
                {
                    "name": split,
                    "colour": SPLIT_COLOURS[split],
                    "rows": rows,
                    "files": len(parts),
                    "share": rows / snapshot.rows if snapshot.rows else None,
                    "start": min(times, default=None),
                    "end": max(times, default=None),
                }
            )
    return Section(id="snapshot", title="Snapshot", group="Data",
                   body=render("snapshot.html", snapshot=snapshot, splits=splits))  # fmt: skip


def _columns(profile: Profile, verdict: Verdict | None, label: str) -> Section:
    splits = [s for s in SPLITS if profile.splits.get(s)]
    failed = _failed(verdict)
    names = list(dict.fromkeys(name for s in splits for name in profile.splits[s]))
    rows = []
    for name in names:
        by_split = {s: profile.splits[s][name] for s in splits if name in profile.splits[s]}
        rows.append(_row(name, by_split, failed.get(name, ()), is_label=name == label))
    rows.sort(key=lambda r: (not r["is_label"], -(r["change"] or 0.0), r["name"]))
    heads = [{"name": s, "colour": SPLIT_COLOURS[s], "rows": profile.rows(s)} for s in splits]
    body = render("columns.html", heads=heads, rows=rows[:_OPEN_ROWS], more=rows[_OPEN_ROWS:])
    return Section(id="columns", title="Columns by split", body=body, group="Data")


def _failed(verdict: Verdict | None) -> Mapping[str, Sequence[Check]]:
    """The failed checks by column; a subject is a column, or "<column> in <split>"."""
    found: dict[str, list[Check]] = {}
    for check in verdict.checks if verdict else ():
        if not check.passed and check.severity != "info":
            column, _, split = check.subject.rpartition(" in ")
            of = found.setdefault(column if split in SPLITS and column else check.subject, [])
            if all(check.rule != other.rule for other in of):
                of.append(check)
    return found


def _row(
    name: str, profiles: Mapping[Split, ColumnProfile], failed: Sequence[Check], *, is_label: bool
) -> dict[str, Any]:
    keys: Mapping[str, ColumnProfile] = {str(s): p for s, p in profiles.items()}
    reference = next(iter(keys), "")
    changes = {s: distance(keys[reference], p) for s, p in keys.items() if s != reference}
    known = {s: c for s, c in changes.items() if c is not None}
    worst = max(known, key=lambda s: known[s], default="")
    missing = [p.missing / p.rows for p in keys.values() if p.rows]
    return {
        "name": name,
        "is_label": is_label,
        "kind": _kind(next(iter(keys.values()))),
        "failed": failed,
        "missing": missing,
        "change": known.get(worst),
        "worst": worst,
        "cells": cells(name, keys, {s: SPLIT_COLOURS[s] for s in profiles}),
    }


def _kind(profile: ColumnProfile) -> str:
    if isinstance(profile, CategoryProfile):
        return f"category, {numbers.plural(profile.distinct, 'value')}"
    if isinstance(profile, DateProfile):
        return "date"
    return "whole number" if profile.is_integer else "number"


def cells(
    name: str, profiles: Mapping[str, ColumnProfile], colours: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """A picture and a line of words for each sample of a column, on common scales.

    The first sample's outline lies behind the others, to compare with.
    """
    shares = shares_of(profiles)
    top = max((s for row in (*shares.shares.values(), shares.rest.values()) for s in row), default=0.0)
    has_rest = any(share > 0.0005 for share in shares.rest.values())
    outline = next(iter(shares.shares.values()), ())
    found: dict[str, dict[str, Any]] = {}
    for position, (sample, profile) in enumerate(profiles.items()):
        own = shares.shares.get(sample, ())
        picture = "" if isinstance(profile, DateProfile) else mini.bars(
            own, top=top, colour=colours[sample], label=_label(name, sample, profile, shares),
            outline=outline if position and own else (),
            rest=shares.rest.get(sample, 0.0) if has_rest else None,
        )  # fmt: skip
        found[sample] = {"picture": picture, "words": _words(profile)}
    return found


def _words(profile: ColumnProfile) -> str:
    if profile.rows == 0:
        return "no rows"
    if profile.missing == profile.rows:
        return "all missing"
    if isinstance(profile, NumberProfile):
        return _range(profile)
    if isinstance(profile, DateProfile):
        return f"{numbers.day(profile.min)} … {numbers.day(profile.max)}"
    value, n = profile.values[0] if profile.values else ("", 0)
    return f"{_clip(value)} {numbers.percent(n / profile.rows)}"


def _range(profile: NumberProfile) -> str:
    if not profile.quantiles:
        return "no finite value"
    if profile.is_integer and profile.max - profile.min <= 1:
        return f"mean {numbers.number(profile.mean)}"
    # What is left of a sum that should be zero is shown as zero.
    noise = 1e-9 * (profile.max - profile.min)
    ends = [0.0 if abs(profile.quantiles[k]) < noise else profile.quantiles[k] for k in (0, 500, 1000)]
    low, middle, high = (numbers.number(value, 3) for value in ends)
    return f"{low} … {middle} … {high}"


def _label(name: str, sample: str, profile: ColumnProfile, shares: Shares) -> str:
    if isinstance(profile, CategoryProfile):
        tops = ", ".join(
            f"{_clip(v)} {numbers.percent(n / profile.rows)}" for v, n in profile.values[:3] if profile.rows
        )
        return f"{name} in {sample}: {len(shares.names)} most frequent values; {tops}"
    return f"{name} in {sample}: histogram; {_words(profile)}"


def _clip(value: str, longest: int = 18) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"


def _previous(profile: Profile, previous: Profile) -> Section:
    before, now = previous.splits.get("train", {}), profile.splits.get("train", {})
    rows: list[dict[str, Any]] = []
    for name in now:
        if name not in before:
            continue
        pair: dict[str, ColumnProfile] = {"before": before[name], "now": now[name]}
        rows.append({
            "name": name,
            "kind": _kind(now[name]),
            "change": distance(before[name], now[name]),
            "cells": cells(name, pair, {"before": "var(--c6)", "now": "var(--c1)"}),
            "missing": [p.missing / p.rows if p.rows else None for p in pair.values()],
        })  # fmt: skip
    rows.sort(key=lambda r: (-(r["change"] or 0.0), r["name"]))
    moved = [r for r in rows if r["change"] is None or r["change"] > 0]
    body = render(
        "previous.html",
        rows=moved[:20],
        more=moved[20:],
        same=len(rows) - len(moved),
        appeared=[n for n in now if n not in before],
        vanished=[n for n in before if n not in now],
        before=previous.rows("train"),
        now=profile.rows("train"),
        is_same=previous.snapshot == profile.snapshot,
    )
    return Section(id="changed", title="What changed since the last snapshot", body=body, group="Data")
