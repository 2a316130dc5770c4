"""How good a model's completions are at places in real code, through the product's own pipeline."""
