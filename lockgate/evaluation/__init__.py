"""What a model is worth: metrics, slices, fairness, costs, comparison, explanation, the model gate."""
