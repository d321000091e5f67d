"""HLS playlists (RFC 8216). Promises come from the plan and never change while a playlist grows."""

HLS_CONTENT_TYPE = "application/vnd.apple.mpegurl"
VERSION = 7
"""EXT-X-VERSION of all playlists: fragmented MP4 requires 6, and 7 is what players of it were made for."""
