"""Checks what `fetch --report` printed of one client that pauses: keep.py COUNT VERSION never|perhaps

Every line is a request that went well, in this version, COUNT of them. `never`: the server has closed the connection each time, and the
client has seen that before it sent anything.
"""
import json
import sys

count, version, reused = int(sys.argv[1]), *sys.argv[2:]
rows = [json.loads(line) for line in sys.stdin]
assert len(rows) == count, f"{len(rows)} lines, not {count}"
for row in rows:
    assert row["ok"] and row["status"] == 200 and row["version"] == version, row
    assert row["attempts"] <= 2, row
    if reused == "never":
        assert not row["reused"] and row["attempts"] == 1, row
