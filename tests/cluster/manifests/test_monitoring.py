"""The alerts' and the dashboard's queries, asked of a real metrics store."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.manifests.monitoring import expressions


def test_every_query_is_promql(gateway):
    host = urllib.parse.urlsplit(gateway).hostname
    address = os.environ.get("LOCKGATE_TEST_METRICS", f"http://{host}:9090")
    found = list(expressions())
    assert len(found) > 10
    for expression in found:
        filled = (
            expression.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$model", ".*")
        )
        query = urllib.parse.urlencode({"query": filled})
        try:
            with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=10) as answer:
                assert json.load(answer)["status"] == "success", expression
        except urllib.error.HTTPError as error:
            pytest.fail(f"{expression}: {error.read().decode()}")
        except OSError as error:
            pytest.skip(f"no metrics store answers at {address}: {error}")
