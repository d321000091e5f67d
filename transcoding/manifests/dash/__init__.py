"""DASH manifests (ISO/IEC 23009-1), over the segments that HLS lists."""

DASH_CONTENT_TYPE = "application/dash+xml"
