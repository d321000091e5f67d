"""RTMP: bytes to messages and back, and the conversation of a client. No sockets, no clock."""
