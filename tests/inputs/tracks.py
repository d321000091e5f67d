"""Files with more streams than one video and one audio track."""

from tests.inputs.case import Case

TITLE = "Which track is the video, which the audio"

CASES: tuple[Case, ...] = ()
