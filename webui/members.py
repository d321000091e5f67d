"""Access to the pages: for logged-in people who act for an owner."""

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.callers import Caller, caller_of_user
from access.rates import check_read_rate
from api.problems import Problem, problem_count

Params = ParamSpec("Params")
View = Callable[Concatenate[HttpRequest, Params], HttpResponseBase]
"""View of Django."""
MemberView = Callable[Concatenate[HttpRequest, Caller, Params], HttpResponseBase]


def for_members(view: MemberView[Params]) -> View[Params]:
    """Show a page to people who are logged in, as their owner. A Problem becomes a page, too."""

    @require_safe
    @login_required
    @functools.wraps(view)
    def shown(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
        try:
            caller = caller_of_user(cast("int", request.user.pk))
            check_read_rate(caller)
            page = view(request, caller, *args, **kwargs)
        except Problem as problem:
            page = _problem_page(request, problem)
        page.headers["Cache-Control"] = "private, no-store"
        return page

    return shown


def _problem_page(request: HttpRequest, problem: Problem) -> HttpResponseBase:
    problem_count(problem)
    template = "webui/no_owner.html" if problem.code == "no_owner" else "webui/problem.html"
    context = {"problem": problem, "title": HTTPStatus(problem.status).phrase}
    page = render(request, template, context, status=problem.status)
    for name, value in problem.headers.items():
        page.headers[name] = value
    return page
