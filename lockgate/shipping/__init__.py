"""From a trained model to one that may be served: serving gate, model folder, card, manifest."""
