"""A broadcast at work: read from its ingest server, fed to ffmpeg, cut, published, and watched."""
