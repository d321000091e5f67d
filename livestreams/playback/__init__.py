"""Playback of live streams: HLS and DASH below `/streams/{playback_id}`, in front of Django.

- `urls` and `tokens` make URLs, `reading` reads rows.
- `timeline` has the published segments of a broadcast in memory, `windows` makes values of them that manifests render.
- A `channel` is a broadcast that is played from this process: rendered once per change, however many players wait.
- `channels` follows what is announced, `media` reads bytes, `watching` counts viewers, `route` answers requests.
"""
