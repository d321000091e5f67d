"""Names of what can happen. They are part of the API and never change their meaning."""

from enum import StrEnum


class EventType(StrEnum):
    VIDEO_UPLOADED = "video.uploaded"
    VIDEO_JOINED = "video.joined"
    VIDEO_IMPORTED = "video.imported"
    VIDEO_READY = "video.ready"
    VIDEO_REJECTED = "video.rejected"
    VIDEO_THUMBNAILS_READY = "video.thumbnails_ready"
    VIDEO_THUMBNAILS_FAILED = "video.thumbnails_failed"
    VIDEO_TEXT_ADDED = "video.text_added"
    VIDEO_TEXT_READY = "video.text_ready"
    VIDEO_TEXT_FAILED = "video.text_failed"
    VIDEO_TEXT_DELETED = "video.text_deleted"
    VIDEO_SOURCE_DELETED = "video.source_deleted"
    VIDEO_DELETED = "video.deleted"
    JOB_QUEUED = "job.queued"
    JOB_WAITING = "job.waiting"
    JOB_PLANNED = "job.planned"
    JOB_STARTED = "job.started"
    JOB_PLAYABLE = "job.playable"
    JOB_PROGRESS = "job.progress"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_REPRIORITIZED = "job.reprioritized"
    JOB_FELL_BACK = "job.fell_back"
    JOB_RETRIED = "job.retried"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_DELIVERED = "job.delivered"
    JOB_DELIVERY_FAILED = "job.delivery_failed"
    JOB_OUTPUTS_DELETED = "job.outputs_deleted"
    JOB_DELETED = "job.deleted"
    LIVE_SESSION_STARTED = "live.session_started"
    LIVE_SESSION_ENDED = "live.session_ended"
    LIVE_SESSION_FAILED = "live.session_failed"
    LIVESTREAM_STARTING = "livestream.starting"
    LIVESTREAM_LIVE = "livestream.live"
    LIVESTREAM_RECONNECTING = "livestream.reconnecting"
    LIVESTREAM_ENDED = "livestream.ended"
    LIVESTREAM_FAILED = "livestream.failed"
    LIVESTREAM_PUBLISH_REFUSED = "livestream.publish_refused"
    LIVESTREAM_CONNECTION_LOST = "livestream.connection_lost"
    LIVESTREAM_CONNECTION_RESTORED = "livestream.connection_restored"
    LIVESTREAM_BITRATE_CHANGE = "livestream.bitrate_change"
    LIVESTREAM_BUFFER_UNDERFLOW = "livestream.buffer_underflow"
    LIVESTREAM_PUSH_STARTED = "livestream.push_started"
    LIVESTREAM_PUSH_FAILED = "livestream.push_failed"


EVENT_TYPES = tuple(kind.value for kind in EventType)
TEST_TYPE = "webhook.test"
"""The type of test deliveries. It happens to nothing, so it is in no log, and endpoints cannot choose it."""
RESET_TYPE = "reset"
"""The type of the message of a stream whose next events are not kept any more."""
JOB_ENDED = frozenset(
    kind.value
    for kind in (
        EventType.JOB_COMPLETED,
        EventType.JOB_FAILED,
        EventType.JOB_CANCELLED,
        EventType.JOB_DELIVERED,
        EventType.JOB_DELIVERY_FAILED,
        EventType.JOB_OUTPUTS_DELETED,
        EventType.JOB_DELETED,
    )
)
"""After these nothing happens to a job, unless somebody retries or deletes it."""
