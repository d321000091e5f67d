"""The wake-up: a message carries a queue's name and nothing else, so losing or doubling it does nothing."""

from celery import shared_task

from workers import celery_signals, wiring

__all__ = ["celery_signals", "work"]  # importing `celery_signals` connects its receivers


@shared_task(name="workers.work", ignore_result=True)
def work(queue: str) -> None:
    """Claim and run the best ready steps of a queue until nothing fits."""
    wiring.last_activity.record()
    try:
        wiring.runner().work(queue)
    finally:
        wiring.last_activity.record()
