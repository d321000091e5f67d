"""Admin pages of a job that failed, and the operations on it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.sites import site
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import ApiKey, Member
from access.scopes import Scope
from access.services import default_owner, key_create, member_add
from events.models import Delivery, DeliveryAttempt, DeliveryState, EndpointState, Event, WebhookEndpoint
from events.webhooks.services import endpoint_create, endpoint_update
from gpu.models import DeviceReport
from jobs.changes.endings import purge_request
from jobs.leasing.nodes import node_register
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.services import video_delete
from jobs.models import Job, Node, Step
from jobs.rules.retry import POISON, Failure
from operations.statistics import MIN_PURGE_FAILURES
from storage.keys import video_prefix
from tests.rows import a_bare_job, a_job, a_policy, a_step, a_video, an_owner, claimed

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
LOG = "[libx264] malloc of size 4096 failed\nConversion failed!"


@pytest.fixture
def failed(db: None) -> Job:
    """A job whose first step failed for good, of an owner that is not the operator's."""
    job = a_job(a_video(an_owner("acme")))
    failure = Failure(code="encoder_failed", detail="ffmpeg ended with 1: Conversion failed!", retryable=False)
    step_fail(claim=claimed(node="node-7"), failure=failure, policy=a_policy(), result={"log": LOG})
    job.refresh_from_db()
    return job


def page_of(job: Job) -> str:
    return f"/admin/jobs/job/{job.id}/change/"


def order(browser: Client, page: str, operation: str, **entered: object) -> str:
    """Give an order on a row's page, and confirm it where that is required; the page afterwards."""
    entered = {"confirmed": "yes", **entered}
    path = page.replace("/change/", f"/operate/{operation}/")
    answer = browser.post(path, entered, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_failed_job_is_found_by_its_state_and_its_error(operator: Client, failed: Job) -> None:
    a_job()
    for query in ("state=failed", "error_code=encoder_failed", f"owner={failed.owner_id}", f"q={failed.id}"):
        page = operator.get(f"/admin/jobs/job/?{query}").content.decode()
        assert set(re.findall(r"/admin/jobs/job/([0-9a-f-]{36})/change/", page)) == {str(failed.id)}, query


def test_errors_are_counted_by_code(operator: Client, failed: Job) -> None:
    page = operator.get("/admin/jobs/job/").content.decode()
    assert "encoder_failed <b>1</b>" in page


def test_the_page_of_a_failed_job_has_the_error(operator: Client, failed: Job) -> None:
    page = operator.get(page_of(failed)).content.decode()
    for said in ("ffmpeg ended with 1: Conversion failed!", "node-7", "acme", "Plan: why", "nothing is enlarged"):
        assert said in page


def test_the_page_of_a_step_has_its_command_and_the_end_of_its_log(operator: Client, failed: Job) -> None:
    step = Step.objects.get(job=failed, state="failed")
    page = operator.get(f"/admin/jobs/step/{step.id}/change/").content.decode()
    assert "malloc of size 4096 failed\nConversion failed!" in page
    assert "ffmpeg" in page
    assert "{source}" in page


def test_a_retry_is_requested_and_logged(operator: Client, failed: Job) -> None:
    page = order(operator, page_of(failed), "retry")
    failed.refresh_from_db()
    assert failed.state == "queued"
    assert "Retry: done." in page
    assert LogEntry.objects.get().object_id == str(failed.id)


def test_several_jobs_are_cancelled_at_once(operator: Client, failed: Job) -> None:
    jobs = [a_job(), a_job(), failed]
    chosen = {"action": "cancel", "_selected_action": [str(job.id) for job in jobs]}
    confirmation = operator.post("/admin/jobs/job/", chosen).content.decode()
    assert all(str(job.id) in confirmation for job in jobs)
    assert sorted(Job.objects.values_list("state", flat=True)) == ["failed", "queued", "queued"]
    page = operator.post("/admin/jobs/job/", _form_of(confirmation), follow=True).content.decode()
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled", "cancelled", "failed"]
    assert "The job is already failed." in page
    assert "Cancel: done (2)." in page


def _form_of(page: str) -> dict[str, list[str]]:
    """Read the fields of a confirmation, as a browser sends them."""
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page):
        fields.setdefault(name, []).append(value)
    return fields


def test_what_cannot_be_undone_is_confirmed_first(operator: Client) -> None:
    job = a_job()
    path = page_of(job).replace("/change/", "/operate/cancel/")
    confirmation = operator.post(path, headers={"referer": page_of(job)}).content.decode()
    assert "A cancelled job stops at once" in confirmation
    assert str(job.id) in confirmation
    assert f'href="{page_of(job)}"' in confirmation
    assert Job.objects.get().state == "queued"
    assert not LogEntry.objects.exists()
    page = operator.post(path, _form_of(confirmation), follow=True).content.decode()
    assert "Cancel: done." in page
    assert Job.objects.get().state == "cancelled"


def test_every_operation_that_loses_something_has_a_warning() -> None:
    operations = {
        operation.name: bool(operation.warning)
        for model_admin in site._registry.values()
        for operation in getattr(model_admin, "operations", ())
    }
    assert {name for name, warns in operations.items() if warns} == {
        "abort", "cancel", "cpu", "revoke", "source-days", "output-days", "end", "stop",
    }  # fmt: skip
    assert operations.keys() == {
        "abort",
        "retry", "release", "pause", "resume", "cancel", "cpu", "reprioritise", "drain", "activate", "revoke", "enable",
        "disable", "redeliver", "stored", "minutes", "source-days", "output-days", "end", "stop",
    }  # fmt: skip


def test_no_retry_is_offered_that_would_be_refused(operator: Client, failed: Job) -> None:
    def offered() -> bool:
        return "/operate/retry/" in operator.get(page_of(failed)).content.decode()

    assert offered()
    Job.objects.update(error_code="input_changed")
    assert not offered(), "its source is at fault"
    assert "The source is at fault" in order(operator, page_of(failed), "retry")
    Job.objects.update(error_code="encoder_failed")
    assert offered()
    video_delete(owner=failed.owner, video_id=failed.video_id)
    assert not offered(), "its video was deleted"
    Job.objects.update(error_code=POISON)
    assert "/operate/release/" not in operator.get(page_of(failed)).content.decode()


def test_fields_of_errors_are_shown_where_there_is_one(operator: Client, failed: Job) -> None:
    well = a_job()
    assert "Error retryable" in operator.get(page_of(failed)).content.decode()
    for address in (page_of(well), f"/admin/videos/video/{well.video_id}/change/"):
        assert "Error " not in operator.get(address).content.decode(), address


@pytest.mark.parametrize(("priority", "then"), [("90", 90), ("101", 50), ("soon", 50), ("", 50)])
def test_a_priority_is_set_within_bounds(priority: str, then: int, operator: Client) -> None:
    job = a_job()
    order(operator, page_of(job), "reprioritise", priority=priority)
    job.refresh_from_db()
    assert job.priority == then


def test_the_cpu_is_forced_where_a_gpu_is_planned(operator: Client) -> None:
    job = a_job()
    assert "Force CPU" not in operator.get(page_of(job)).content.decode()
    Step.objects.filter(job=job, kind="chunk").update(queue="gpu", encoder="h264_nvenc", sessions=1)
    assert "Force CPU" in operator.get(page_of(job)).content.decode()
    assert "Force CPU: done." in order(operator, page_of(job), "cpu")
    assert not Step.objects.filter(job=job, queue="gpu", state="ready").exists()
    assert Step.objects.filter(job=job, queue="cpu", kind="chunk", state="ready").exists()


def test_a_job_is_released_from_quarantine_by_its_own_operation(operator: Client) -> None:
    job = a_job()
    step_fail(claim=claimed(), failure=Failure(code=POISON, detail="kept losing its workers"), policy=a_policy())
    assert 'error_code=poison">1</a>' in operator.get("/admin/").content.decode()
    page = operator.get(page_of(job)).content.decode()
    assert "Release from quarantine" in page
    order(operator, page_of(job), "release")
    assert Job.objects.get().state == "queued"


def test_a_job_outside_quarantine_is_not_released(operator: Client, failed: Job) -> None:
    assert "is not in quarantine" in order(operator, page_of(failed), "release")
    assert Job.objects.get().state == "failed"


def test_a_node_is_drained_and_undrained(operator: Client) -> None:
    node_register(name="node-7", queues=["cpu"], slots=2, pid=1, info={})
    for operation, state in (("drain", "draining"), ("activate", "active")):
        order(operator, "/admin/jobs/node/node-7/change/", operation)
        assert Node.objects.get().state == state


def test_a_key_is_revoked_and_shows_no_hash(operator: Client) -> None:
    key, created = key_create(owner=default_owner(), name="ci", scopes=[Scope.ADMIN])
    page = operator.get(f"/admin/access/apikey/{key.id}/change/").content.decode()
    assert created.digest not in page
    order(operator, f"/admin/access/apikey/{key.id}/change/", "revoke")
    assert ApiKey.objects.get().revoked_at is not None


def test_the_page_of_a_long_job_is_limited(operator: Client) -> None:
    job = a_bare_job(a_video())
    a_step(job)
    page_queries = _queries(operator, page_of(job))
    for ordinal in range(1, 300):
        a_step(job, ordinal=ordinal)
    assert _queries(operator, page_of(job)) == page_queries
    assert operator.get(page_of(job)).content.decode().count("/admin/jobs/step/") < 50


def _queries(browser: Client, path: str) -> int:
    browser.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("model", ["jobs/job", "jobs/step", "jobs/node", "videos/video", "access/apikey"])
def test_rows_cannot_be_added_edited_or_deleted(model: str, operator: Client) -> None:
    assert operator.get(f"/admin/{model}/add/").status_code == 403
    job = a_job()
    ids = {"jobs/job": job.id, "jobs/step": Step.objects.first(), "videos/video": job.video_id}
    if row := ids.get(model):
        row_id = getattr(row, "pk", row)
        assert operator.post(f"/admin/{model}/{row_id}/change/", {"priority": 1}).status_code == 403
        assert operator.post(f"/admin/{model}/{row_id}/delete/", {"post": "yes"}).status_code == 403


def _somebody(*permissions: str, staff: bool = True) -> Client:
    user = User.objects.create_user("somebody", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def test_the_view_permission_allows_no_operations(failed: Job) -> None:
    viewer = _somebody("view_job")
    page = viewer.get(page_of(failed)).content.decode()
    assert "Conversion failed!" in page
    assert 'id="operations"' not in page
    answer = viewer.post(page_of(failed).replace("/change/", "/operate/retry/"))
    assert answer.status_code == 403
    assert Job.objects.get().state == "failed"


def test_the_change_permission_of_a_model_allows_its_operations(failed: Job) -> None:
    order(_somebody("change_job"), page_of(failed), "retry")
    assert Job.objects.get().state == "queued"


def test_people_without_staff_are_refused(failed: Job) -> None:
    for browser in (Client(), _somebody("view_job", staff=False)):
        answer = browser.get(page_of(failed))
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/admin/login/")


def test_operations_require_a_post(operator: Client, failed: Job) -> None:
    """And comes from a page of ours."""
    path = page_of(failed).replace("/change/", "/operate/retry/")
    assert operator.get(path).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(path).status_code == 403
    assert Job.objects.get().state == "failed"


def _a_delivery(endpoint: WebhookEndpoint, state: DeliveryState, *answers: int | str) -> Delivery:
    """A delivery after these attempts: the status of an answer, or why there was none."""
    event = Event.objects.create(owner=endpoint.owner, video_id=uuid4(), type="video.ready")
    delivery = Delivery.objects.create(
        endpoint=endpoint, event=event, state=state, attempts=len(answers), finished_at=Now()
    )
    for number, answer in enumerate(answers, 1):
        answered = {"error": answer} if isinstance(answer, str) else {"status": answer}
        DeliveryAttempt.objects.create(delivery=delivery, number=number, milliseconds=1, **answered)
    return delivery


def test_the_newest_deliveries_come_first_with_their_last_answers(operator: Client) -> None:
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    answers = ("nobody", "too late", "gone")
    deliveries = [_a_delivery(endpoint, DeliveryState.FAILED, "once", answer) for answer in answers]
    for seconds, delivery in enumerate(deliveries):
        Delivery.objects.filter(id=delivery.id).update(created_at=Now() - timedelta(seconds=seconds))
    newest = [str(delivery.id) for delivery in deliveries]
    for page in ("delivery/", f"webhookendpoint/{endpoint.id}/change/"):
        shown = operator.get(f"/admin/events/{page}").content.decode()
        assert re.findall(r"/admin/events/delivery/([0-9a-f-]{36})/change/", shown) == newest
        assert re.findall(r"\b(once|nobody|too late|gone)\b", shown) == list(answers)


def test_a_delivery_to_a_disabled_endpoint_is_not_offered_again(operator: Client) -> None:
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    address = f"/admin/events/delivery/{_a_delivery(endpoint, DeliveryState.FAILED, 500).id}/change/"
    assert "/operate/redeliver/" in operator.get(address).content.decode()
    endpoint_update(endpoint=endpoint, state=EndpointState.DISABLED)
    assert "/operate/redeliver/" not in operator.get(address).content.decode()


def test_the_overview_shows_webhooks_that_fail(operator: Client) -> None:
    assert "Webhooks that are not accepted" not in operator.get("/admin/").content.decode()
    endpoint = endpoint_create(owner=an_owner("acme"), url="https://hooks.example/in")
    fine = endpoint_create(owner=an_owner("acme"), url="https://fine.example/in")
    _a_delivery(endpoint, DeliveryState.FAILED, 500)
    _a_delivery(endpoint, DeliveryState.PENDING, 500, 500)
    _a_delivery(fine, DeliveryState.DELIVERED, 200)
    long_ago = _a_delivery(fine, DeliveryState.FAILED, 500)
    Delivery.objects.filter(id=long_ago.id).update(finished_at=Now() - timedelta(days=2))
    page = operator.get("/admin/").content.decode()
    assert "1 webhook deliveries to 1 endpoints failed for good in the last day." in page
    assert "https://hooks.example/in" in page
    assert f'/admin/events/delivery/?endpoint={endpoint.id}&amp;state=pending">1</a>' in page
    assert "https://fine.example/in" not in page


def test_the_overview_shows_purges_that_keep_failing(operator: Client) -> None:
    video = a_video()
    purge_request(video=video, prefix=video_prefix(video.id))
    refused = Failure(code="storage_refused", detail="AccessDenied")
    for _ in range(MIN_PURGE_FAILURES):
        assert "purges_fail" not in operator.get("/admin/").content.decode()
        Step.objects.filter(kind="purge").update(state="ready", not_before=None)
        assert step_fail(claim=claimed(), failure=refused, policy=a_policy()) == "delayed"
    page = operator.get("/admin/").content.decode()
    assert "1 deletions of objects keep failing, and are tried again: storage_refused: AccessDenied" in page


def test_a_delivery_shows_every_attempt_and_is_sent_again(operator: Client) -> None:
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    a_job()
    event = Event.objects.filter(owner=default_owner()).latest("id")
    delivery = Delivery.objects.create(endpoint=endpoint, event=event, state=DeliveryState.FAILED, attempts=1)
    DeliveryAttempt.objects.create(delivery=delivery, number=1, status=503, response="try later", milliseconds=12)
    address = f"/admin/events/delivery/{delivery.id}/change/"
    page = operator.get(address).content.decode()
    assert "try later" in page
    order(operator, address, "redeliver")
    delivery.refresh_from_db()
    assert delivery.state == "pending"


def test_an_endpoint_is_disabled_and_shows_no_secret(operator: Client) -> None:
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    address = f"/admin/events/webhookendpoint/{endpoint.id}/change/"
    assert endpoint.secret not in operator.get(address).content.decode()
    order(operator, address, "disable")
    endpoint.refresh_from_db()
    assert endpoint.state == "disabled"


def test_a_device_is_shown_with_its_verdicts(operator: Client) -> None:
    device = DeviceReport.objects.create(
        node="node-7", uuid="GPU-1", machine="m", index=0, name="A GPU", kind="nvidia", verdicts={"h264_nvenc": {}}
    )
    assert "A GPU" in operator.get("/admin/gpu/devicereport/").content.decode()
    assert "h264_nvenc" in operator.get(f"/admin/gpu/devicereport/{device.id}/change/").content.decode()


def test_the_menu_and_the_titles_are_readable(operator: Client, failed: Job) -> None:
    page = operator.get("/admin/").content.decode()
    menu = re.findall(r'href="/admin/\w+/\w+/"[^>]*>.*?<span>([^<]+)</span>', page, re.DOTALL)
    assert menu == [
        "Jobs", "Steps", "Videos", "Uploads", "Livestreams", "Broadcasts", "Live sessions", "Nodes", "GPUs",
        "Webhook endpoints", "Deliveries", "API keys", "Owners", "Members", "Users", "Groups",
    ]  # fmt: skip
    rows = [failed, failed.video, failed.owner, Step.objects.latest("id"), *_everything_else()]
    for row in rows:
        title = str(row)
        assert " object (" not in title
        address = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
        assert title.casefold() in operator.get(address).content.decode().casefold(), address


def _everything_else() -> list[Any]:
    node_register(name="node-7", queues=["cpu"], slots=2, pid=1, info={})
    member_add(owner=default_owner(), name="ada")
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    key, _ = key_create(owner=default_owner(), name="ci", scopes=[Scope.ADMIN])
    delivery = Delivery.objects.create(endpoint=endpoint, event=Event.objects.latest("id"))
    return [Node.objects.get(), Member.objects.get(), endpoint, key, delivery]


def test_the_menu_has_only_permitted_lists() -> None:
    page = _somebody("view_node").get("/admin/").content.decode()
    assert set(re.findall(r'href="/admin/(\w+/\w+)/"', page)) == {"jobs/node"}
    assert "Steps by queue" not in page


def test_the_overview_shows_alerts(operator: Client, failed: Job) -> None:
    a_job()
    page = operator.get("/admin/").content.decode()
    for said in ("no_worker", "steps wait in queue cpu, which no worker serves", "encoder_failed <b>1</b>"):
        assert said in page


def test_a_node_shows_its_steps_and_devices(operator: Client) -> None:
    node_register(name="node-7", queues=["cpu"], slots=2, pid=1, info={})
    DeviceReport.objects.create(node="node-7", uuid="GPU-1", machine="m", index=0, name="A GPU", kind="nvidia")
    job = a_job()
    claimed(node="node-7")
    page = operator.get("/admin/jobs/node/node-7/change/").content.decode()
    assert "A GPU" in page
    assert str(job.id) in page


def test_an_endpoint_shows_its_latest_deliveries(operator: Client) -> None:
    endpoint = endpoint_create(owner=default_owner(), url="https://hooks.example/in")
    a_job()
    delivery = Delivery.objects.create(endpoint=endpoint, event=Event.objects.latest("id"))
    page = operator.get(f"/admin/events/webhookendpoint/{endpoint.id}/change/").content.decode()
    assert f"/admin/events/delivery/{delivery.id}/change/" in page


def test_failed_steps_can_be_filtered(operator: Client, failed: Job) -> None:
    a_job()
    page = operator.get("/admin/jobs/step/?state=failed").content.decode()
    found = set(re.findall(r"/admin/jobs/step/([0-9a-f-]{36})/change/", page))
    assert found == {str(Step.objects.get(state="failed").id)}


def test_a_person_cannot_become_a_superuser() -> None:
    """Django lets whoever may change users change what they may do."""
    may = ("view_user", "add_user", "change_user", "delete_user", "change_group", "add_group", "add_member")
    clerk = _somebody(*may)
    user = User.objects.get()
    user.set_password(PASSWORD)
    user.save()
    clerk.force_login(user)
    page = f"/admin/auth/user/{user.pk}/change/"
    shown = clerk.get(page)
    assert shown.status_code == 200, "to look is permitted"
    assert user.password.rpartition("$")[2] not in shown.content.decode(), "but not at the hash"
    entered = {"username": "somebody", "is_superuser": "on", "is_staff": "on", "is_active": "on"}
    for path in (
        page,
        f"/admin/auth/user/{user.pk}/password/",
        "/admin/auth/user/add/",
        "/admin/auth/group/add/",
        "/admin/access/member/add/",
    ):
        assert clerk.post(path, entered).status_code == 403, path
    user.refresh_from_db()
    assert not user.is_superuser
