"""Rows of videos and of everything that is made of them."""

from videos.models.assets import Asset, Thumbnails
from videos.models.imports import Import
from videos.models.renditions import Rendition, SegmentNumbers, SegmentRun, ZeroCount
from videos.models.texts import Text
from videos.models.uploads import Upload
from videos.models.usage import UsageDay, UsageEntry, UsageTotal
from videos.models.videos import Generation, Video
from videos.models.watermarks import WatermarkImage

__all__ = [
    "Asset",
    "Generation",
    "Import",
    "Rendition",
    "SegmentNumbers",
    "SegmentRun",
    "Text",
    "Thumbnails",
    "Upload",
    "UsageDay",
    "UsageEntry",
    "UsageTotal",
    "Video",
    "WatermarkImage",
    "ZeroCount",
]
