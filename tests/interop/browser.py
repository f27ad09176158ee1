"""Headless Chromium with a page that tells how it went: `browser.py URL EXPECTED`, where the page has to say EXPECTED within a minute.

The page gets the port of a server of this script behind `#`, and says what it has to say as the query of a request to it.
"""
import http.server
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.parse

COMMAND = """chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--ignore-certificate-errors""".split()

said = queue.Queue()


class Ear(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said.put(urllib.parse.unquote(urllib.parse.urlsplit(self.path).query))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


url, expected = sys.argv[1:]
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear) as ear, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    threading.Thread(target=ear.serve_forever, daemon=True).start()
    page = f"{url}#{ear.server_address[1]}"
    browser = subprocess.Popen([*COMMAND, f"--user-data-dir={profile}", "--remote-debugging-port=0", page], stderr=subprocess.DEVNULL)
    try:
        result = said.get(timeout=50)
    except queue.Empty:
        result = "nothing was heard of the page"
    finally:
        browser.terminate()
        browser.wait()
        ear.shutdown()
print(result)
sys.exit(result != expected)
