"""Reads of what owners store and have encoded. They take a few rows per owner, however many videos there are."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db import connection

from videos.usage.kinds import STORED, UsageKind

# NULL in place of a day: all that ever was. One statement, so that both are of the same moment.
_READ = """
SELECT NULL::date, kind, sum(amount)::bigint FROM (
    SELECT kind, amount FROM videos_usagetotal WHERE owner_id = %(owner)s
    UNION ALL
    SELECT kind, amount FROM videos_usageentry WHERE owner_id = %(owner)s
) AS amounts GROUP BY kind
UNION ALL
SELECT day, kind, sum(amount)::bigint FROM (
    SELECT day, kind, amount FROM videos_usageday WHERE owner_id = %(owner)s AND day >= %(start)s
    UNION ALL
    SELECT day, kind, amount FROM videos_usageentry WHERE owner_id = %(owner)s AND day >= %(start)s
) AS amounts GROUP BY day, kind
"""
_READ_ALL = """
SELECT kind, sum(amount)::bigint FROM (
    SELECT kind, amount FROM videos_usagetotal UNION ALL SELECT kind, amount FROM videos_usageentry
) AS amounts GROUP BY kind
"""


class Amounts(Counter[UsageKind]):
    """Amounts by kind; those that are not there are 0."""

    @property
    def stored_bytes(self) -> int:
        return sum(self[kind] for kind in STORED)


class Interval(StrEnum):
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Sums of days of UTC, both included, and the bytes that were stored at their end."""

    start: date
    end: date
    came: Amounts
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one owner: what there is now, and the changes of each day since some day."""

    now: Amounts
    """Kinds that only grow: all that ever came."""
    days: dict[date, Amounts]

    def period(self, start: date, end: date) -> Period:
        """Sum up the days from `start` to `end`, both included."""
        came = Amounts()
        for day, amounts in self.days.items():
            if start <= day <= end:
                came.update(amounts)
        later = sum(amounts.stored_bytes for day, amounts in self.days.items() if day > end)
        return Period(start=start, end=end, came=came, stored_bytes=self.now.stored_bytes - later)

    def periods(self, interval: Interval, start: date, end: date) -> list[Period]:
        """Divide the days from `start` to `end` into periods, oldest first: whole months."""
        firsts = [_first_day(interval, start)]
        while (following := _following(interval, firsts[-1])) <= end:
            firsts.append(following)
        return [self.period(first, _following(interval, first) - timedelta(days=1)) for first in firsts]


def usage_of(owner_id: UUID, *, since: date) -> Usage:
    """Read the usage of an owner, by day from the first of the month of `since` on. One query."""
    usage = Usage(Amounts(), {})
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"owner": owner_id, "start": since.replace(day=1)})
        for day, kind, amount in cursor.fetchall():
            amounts = usage.days.setdefault(day, Amounts()) if day else usage.now
            amounts[UsageKind(kind)] = amount
    return usage


def usage_of_all() -> Amounts:
    """Return what all owners store together, and all that ever came. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_ALL)
        return Amounts({UsageKind(kind): amount for kind, amount in cursor.fetchall()})


def today() -> date:
    """Return the day of UTC."""
    return datetime.now(UTC).date()


def this_month(usage: Usage) -> Period:
    """Sum up the month of UTC so far."""
    (month,) = usage.periods(Interval.MONTH, today(), today())
    return month


def _first_day(interval: Interval, day: date) -> date:
    return day.replace(day=1) if interval is Interval.MONTH else day


def _following(interval: Interval, first: date) -> date:
    days = 31 if interval is Interval.MONTH else 1
    return _first_day(interval, first + timedelta(days=days))
