"""The playback URLs of assets."""

from django.http import HttpRequest, HttpResponseBase

from api.problems import not_found
from videos.assets.selectors import playable_assets
from videos.playback import wiring
from videos.playback.caching import FOR_EVER
from videos.playback.views import for_players, token_of, video_of_token
from videos.states import AssetKind


@for_players
def asset(request: HttpRequest, token: str, generation: int, name: str, kind: AssetKind) -> HttpResponseBase:
    """Serve an asset of a complete generation. Its kind comes with the route."""
    of_token = video_of_token(token_of(token), "generation__video__")
    found = playable_assets().filter(generation__number=generation, kind=kind, name=name, **of_token).first()
    if found is None:
        raise not_found("asset")
    return wiring.delivery().answer(request, found.key, content_type=found.media_type, cache=FOR_EVER)
