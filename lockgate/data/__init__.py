"""From raw rows to a judged snapshot: reading, splitting, statistics, schema, the data gate."""
