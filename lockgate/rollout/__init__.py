"""How traffic moves to a new model: what is measured, what it proves, and what follows. Pure throughout.

`policy` says what is wanted, `evidence` what was seen, `decide` what follows from the two; `lifecycle`
leads a rollout from its beginning to its end, and `orders` says what must exist on its way. Nothing here
reads a clock, a file or a network.
"""
