"""From raw columns to the network's inputs: selection, and Keras layers built from the statistics."""
