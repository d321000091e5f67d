"""The form in which a text is sent."""

from typing import Any, ClassVar
from unicodedata import category

from django.core.files.uploadedfile import UploadedFile
from rest_framework import serializers

from api.fields import Choice, StrictSerializer
from api.problems import Problem, invalid_field
from transcoding.errors import TextRejected
from transcoding.languages import MAX_TAG_LENGTH, language_tag
from transcoding.texts.characters import ENCODINGS
from transcoding.texts.cues import Cues
from transcoding.texts.reading import read_text
from videos.texts.services import TextLabels

_MAX_LABEL = 100


class LanguageField(serializers.CharField):
    """A tag of a language by BCP 47."""

    default_error_messages: ClassVar = {"max_length": "may have {max_length} characters"}

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401 - REST framework's signature
        tag = language_tag(super().to_internal_value(data))
        if not tag:
            raise serializers.ValidationError("must be a tag of a language by BCP 47, such as de, pt-BR or zh-Hans")
        return tag


class TextRequest(StrictSerializer):
    """A file with subtitles or captions, and what players show of it."""

    file = serializers.FileField(help_text="WebVTT, SubRip (SRT), ASS or SSA; its content says which.")
    language = LanguageField(max_length=MAX_TAG_LENGTH, help_text="A tag by BCP 47, such as de, pt-BR or zh-Hans.")
    label = serializers.CharField(  # type: ignore[assignment]  # not the serializer's
        required=False,
        allow_blank=True,
        max_length=_MAX_LABEL,
        help_text="Its name in players. Default: the English name of the language, and forced or SDH.",
    )
    forced = serializers.BooleanField(
        required=False, help_text="Only what everybody must read, such as signs: shown also without being chosen."
    )
    sdh = serializers.BooleanField(
        required=False, help_text="For people who do not hear: it describes noises and music, too."
    )
    default = serializers.BooleanField(
        required=False, help_text="Players begin with it. It takes this from the text that had it."
    )
    encoding = Choice(choices=ENCODINGS, required=False, help_text="Of the file. Not required for UTF-8 and UTF-16.")

    def validate_label(self, label: str) -> str:
        """Refuse control characters, which playlists cannot hold."""
        if any(category(letter) in ("Cc", "Zl", "Zp") for letter in label):
            raise serializers.ValidationError("must be one line of printable characters")
        return label


def text_labels(request: TextRequest) -> TextLabels:
    """Return what a valid request says about its file."""
    fields = request.validated_data
    return TextLabels(
        language=fields["language"],
        label=fields.get("label", ""),
        default=fields.get("default", False),
        forced=fields.get("forced", False),
        captions=fields.get("sdh", False),
    )


def requested_cues(request: TextRequest) -> Cues:
    """Read the file of a valid request. Raises Problem (422) for one that is no text."""
    file: UploadedFile[Any] = request.validated_data["file"]
    try:
        return read_text(file.read(), encoding=request.validated_data.get("encoding", ""))
    except TextRejected as error:
        raise _refused(error) from error


def _refused(error: TextRejected) -> Problem:
    return invalid_field("file", str(error), code=error.code)
