"""Checks what `fetch --report` printed: report.py COUNT VERSION CONNECTIONS TRAILER (the last two may be empty)

Every line is a JSON object of a request that went well, in this version, COUNT of them, on so many connections.
"""
import json
import sys

count, version, connections, trailer = int(sys.argv[1]), *sys.argv[2:]
connections = int(connections) if connections else None

rows = [json.loads(line) for line in sys.stdin]
assert len(rows) == count, f"{len(rows)} lines, not {count}"
for row in rows:
    assert row["ok"] is True, row
    assert 200 <= row["status"] < 300, row
    assert row["version"] == version, row
    assert row["attempts"] == 1, row
    assert not trailer or trailer in row["trailers"], row
used = {row["connection"] for row in rows}
assert connections is None or len(used) == connections, f"{len(used)} connections, not {connections}: {sorted(used)[:9]}"
fresh = sum(not row["reused"] for row in rows)
assert connections is None or fresh == connections, f"{fresh} requests say that they were the first of their connection"
