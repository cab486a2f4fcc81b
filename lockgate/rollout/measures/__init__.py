"""One module a measure: which counts it takes from an interval, and what they prove."""
