import pytest

from transcoding.languages import language_name, language_of_mp4, language_tag


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
