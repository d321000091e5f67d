"""The playback URLs of assets."""

from django.http import HttpRequest, HttpResponseBase

from api.problems import not_found
from videos.assets.selectors import asset_find
from videos.playback import wiring
from videos.playback.views import FOR_EVER, for_players, token_video
from videos.states import AssetKind


@for_players
def asset(request: HttpRequest, token: str, generation: int, name: str, kind: AssetKind) -> HttpResponseBase:
    """Serve an asset of a complete generation. Its kind comes with the route."""
    found = asset_find(video_id=token_video(token), generation=generation, kind=kind, name=name)
    if found is None:
        raise not_found("asset")
    return wiring.delivery().answer(request, found.key, content_type=found.media_type, cache=FOR_EVER)
