"""FLV: the tags that RTMP carries, what they say, and their times on a clock of our own."""
