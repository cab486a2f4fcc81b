"""The data gate's checks: each module yields `Check`s from profiles, or from a scan over the rows."""
