"""Redis besides tickets: response cache, rate limits, locks."""
