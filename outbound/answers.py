from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of sending once. `status`: of the answer, if there was one; `error`: why there was none, or none good.

    `retry_after`: seconds that the receiver asked us to wait.
    """

    status: int | None = None
    error: str = ""
    response: str = ""
    milliseconds: int = 0
    retry_after: int | None = None

    @property
    def accepted(self) -> bool:
        """Return True once the receiver has accepted it. A redirect is no acceptance, and is not followed."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
