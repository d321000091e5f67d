"""How dates are written; Django looks here by language."""
