"""Date formats by language, in Django's layout."""
