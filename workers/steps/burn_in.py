"""The cues of the text that a job burns in."""

from uuid import UUID

from transcoding.errors import TextUnknown
from transcoding.planning.plan import EncodePlan
from transcoding.texts.cues import NO_CUES, Cues
from videos.models import Text
from videos.texts.selectors import text_cues
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write


def burned_cues(plan: EncodePlan, control: StepControl) -> Cues:
    """Return the cues on the clock of the outputs, if the plan has a text. Raises TextUnknown where it was deleted."""
    burned = plan.burn_in
    if burned is None or not burned.text:
        return NO_CUES
    start = plan.text_start(embedded=burned.embedded)
    text = UUID(burned.text)

    def cues() -> Cues:
        Text.objects.values_list("id").get(id=text)  # what a deleted one said may be cached
        return text_cues(text, start)

    try:
        return retry_write(cues, control)
    except Text.DoesNotExist:
        raise TextUnknown("the text that is burned in was deleted", field="burn_in") from None
