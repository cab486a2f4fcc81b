"""Requests about penguins: rows of all kinds, many of which no training has seen."""

import json
from typing import Any

import numpy as np

MODEL = "penguins"
PREDICT = f"/v1/models/{MODEL}:predict"


def rows(count: int, seed: int = 5) -> list[dict[str, Any]]:
    """Penguins of all kinds: measures from far too small to far too large, some of them missing."""
    draw = np.random.default_rng(seed)
    measures = {
        "bill_length_mm": (20, 70), "bill_depth_mm": (10, 25),
        "flipper_length_mm": (150, 260), "body_mass_g": (2000, 7000),
    }  # fmt: skip
    found = []
    for _ in range(count):
        row: dict[str, Any] = {
            key: None if draw.random() < 0.1 else round(float(draw.uniform(*span)), 1)
            for key, span in measures.items()
        }
        row["island"] = draw.choice(["Biscoe", "Dream", "Torgersen", "Atlantis"]).item()
        row["sex"] = draw.choice(["male", "female", ""]).item() or None
        found.append(row)
    return found


def bodies(count: int, seed: int = 5) -> list[bytes]:
    """A V1 request for each of so many rows."""
    return [json.dumps({"instances": [row]}).encode() for row in rows(count, seed)]
