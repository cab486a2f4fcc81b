"""The steps of the pipeline: each reads artifacts and settings, and writes artifacts."""
