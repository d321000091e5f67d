"""What differs between encoders, one record each; nothing else in the project compares encoder names."""

from transcoding.encoders.traits import AudioEncoder, RateControl, VideoEncoder
from transcoding.encoders.x264 import X264

AAC = AudioEncoder(ffmpeg_name="aac", codecs="mp4a.40.2", bitrate=128_000, priming_samples=1024, frame_samples=1024)
"""ffmpeg's own AAC-LC encoder: frames of 1,024 samples after 1,024 samples of priming (see `docs/media.md`)."""

VIDEO_ENCODERS = {"h264": X264, "libx264": X264}
"""Names that a request may use for a video codec, and the encoder that serves each."""

__all__ = ["AAC", "VIDEO_ENCODERS", "X264", "AudioEncoder", "RateControl", "VideoEncoder"]
