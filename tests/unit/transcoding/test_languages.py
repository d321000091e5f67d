import pytest

from transcoding.languages import language_name, language_of_mp4, language_tag
from transcoding.manifests.labels import default_text_label


@pytest.mark.parametrize(
    ("written", "tag", "name", "of_mp4"),
    [
        ("ger", "de", "German", "deu"),
        ("deu", "de", "German", "deu"),
        ("de", "de", "German", "deu"),
        ("ENG", "en", "English", "eng"),
        ("por-br", "pt-BR", "Portuguese (BR)", "por"),
        ("zh-hant-tw", "zh-Hant-TW", "Chinese (Hant, TW)", "zho"),
        ("gsw", "gsw", "gsw", "gsw"),
        ("", "", "", ""),
        ('en" URI="evil', "", "", 'en" uri="evil'),
    ],
)
def test_languages_have_the_shortest_tag_a_name_and_the_code_that_mp4_has(
    written: str, tag: str, name: str, of_mp4: str
) -> None:
    assert (language_tag(written), language_name(written), language_of_mp4(written)) == (tag, name, of_mp4)


@pytest.mark.parametrize(
    ("tag", "written"),
    [("de", "de"), ("PT-br", "pt-BR"), ("zh-hans-cn", "zh-Hans-CN"), ("es-419", "es-419"), ("zho-yue", "zh-yue"),
     ("sl-rozaj-biske", "sl-rozaj-biske"),
     ("de-x-formal", "de-x-formal"), ("und", "und"), ("en-US-u-ca-gregory", "en-US-u-ca-gregory")],
)  # fmt: skip
def test_tags_of_languages_are_written_as_usual(tag: str, written: str) -> None:
    assert language_tag(tag) == written


@pytest.mark.parametrize(
    "tag",
    ["", "d", "deutschland", "de_DE", "de-", "-de", "de-a", "a" * 9, "de\n", 'de"', "d\u00e9", "de-x-" + "a" * 40],
)
def test_what_is_no_tag_is_none(tag: str) -> None:
    assert not language_tag(tag)


def test_a_text_without_a_label_is_called_by_its_language_and_purpose() -> None:
    assert default_text_label("de", forced=False, captions=False) == "German"
    assert default_text_label("pt-BR", forced=False, captions=True) == "Portuguese (BR), SDH"
    assert default_text_label("und", forced=True, captions=False) == "Unknown, forced"
