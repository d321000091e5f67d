import pytest, time, json
from django.db import connection
from tests.integration.jobs.test_claim import _fill, _explain_claim, _nodes
from tests.rows import claimed, claim_or_none
@pytest.mark.django_db
def test_x():
    _fill(owners=50, steps_each=2000)
    ts=[]
    for i in range(30):
        t=time.monotonic(); claimed(); ts.append((time.monotonic()-t)*1000)
    print("claim ms", [round(x,2) for x in ts])
    p=_explain_claim()
    for n in _nodes(p): print(n["Node Type"], n.get("Index Name"), n["Actual Rows"], n["Actual Loops"], n["Actual Total Time"], n["Total Cost"])
    assert 0
