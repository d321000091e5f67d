from django.urls import path

from events import apis

urlpatterns = [
    path("api/v1/events", apis.EventStreamApi.as_view(), name="event-stream"),
    path("api/v1/jobs/<uuid:job_id>/events", apis.JobEventStreamApi.as_view(), name="job-event-stream"),
    path("api/v1/webhooks", apis.WebhookListApi.as_view(), name="webhook-list"),
    path("api/v1/webhooks/<uuid:webhook_id>", apis.WebhookDetailApi.as_view(), name="webhook-detail"),
    path("api/v1/webhooks/<uuid:webhook_id>/rotate-secret", apis.WebhookRotateApi.as_view(), name="webhook-rotate"),
    path("api/v1/webhooks/<uuid:webhook_id>/test", apis.WebhookTestApi.as_view(), name="webhook-test"),
    path("api/v1/webhooks/<uuid:webhook_id>/deliveries", apis.DeliveryListApi.as_view(), name="delivery-list"),
    path(
        "api/v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver",
        apis.DeliveryRepeatApi.as_view(),
        name="delivery-redeliver",
    ),
]
