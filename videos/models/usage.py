"""Usage of owners: changes of what they store and have encoded, and their sums by day.

Triggers write the changes, in the transaction that changes the counted row: its migration says what
counts. Nobody waits for anybody: changes are rows of their own, which `videos.usage.services` adds up later.
"""

from django.db import models

from access.models import Owner


class UsageEntry(models.Model):
    """One change that no sum contains yet."""

    id = models.BigAutoField(primary_key=True)
    # Without a constraint: its check would lock the owner's row at each publish of segments.
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    day = models.DateField()
    """Of UTC."""
    kind = models.TextField()
    """One of `videos.usage.kinds.UsageKind`."""
    amount = models.BigIntegerField()


class UsageTotal(models.Model):
    """The sum of the changes of one owner and kind."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.TextField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "kind"], name="videos_usagetotal_once")]


class UsageDay(models.Model):
    """The part of a total that changed on one day."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    kind = models.TextField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "day", "kind"], name="videos_usageday_once")]
