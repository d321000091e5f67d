"""Planning: turns a request and a video's facts into a generation and its steps; GPU routing, CPU fallback."""
