"""The URLs of the images of a video."""

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase

from api.problems import not_found
from storage.errors import ObjectNotFound
from storage.keys import asset_key, thumbnails_prefix
from transcoding.manifests.sprites import VTT_CONTENT_TYPE
from transcoding.planning.images import JPEG, POSTER, SPRITES_VTT, media_type_of
from videos.models import Thumbnails, Video
from videos.playback import wiring
from videos.playback.caching import FOR_EVER, text_response
from videos.playback.views import for_players, token_of, video_of_token
from videos.thumbnails import images_of

_OF_THE_MOMENT = "public, max-age=600"


@for_players
def image(request: HttpRequest, token: str, images: str, name: str) -> HttpResponseBase:
    """Serve one image, or the WebVTT of the sprite sheets. The bytes at a URL never change.

    URLs in the WebVTT are relative to its own, so it is never answered with a redirect to the store.
    """
    video_id, media_type = _shown_video(token), media_type_of(name)
    key = asset_key(thumbnails_prefix(video_id, images), name)
    try:
        if name == SPRITES_VTT:
            text = wiring.store().get(key).decode()
            return text_response(request, text, content_type=VTT_CONTENT_TYPE, cache=FOR_EVER)
        if media_type:
            return wiring.delivery().answer(request, key, content_type=media_type, cache=FOR_EVER)
    except ObjectNotFound:
        pass
    raise not_found("image")


@for_players
def poster(request: HttpRequest, token: str) -> HttpResponseBase:
    """Serve the poster that the video has at the moment."""
    video_id = _shown_video(token)
    images = images_of(Thumbnails.objects.filter(video=video_id).first())
    if images is None:
        raise not_found("image")
    key = asset_key(thumbnails_prefix(video_id, images.name), POSTER)
    return wiring.delivery().answer(request, key, content_type=JPEG, cache=_OF_THE_MOMENT)


def _shown_video(text: str) -> UUID:
    """Return the id of the token's video. Raises Problem (404) if that is gone."""
    token = token_of(text)
    if not Video.objects.filter(**video_of_token(token)).exists():
        raise not_found("video")
    return token.video_id
