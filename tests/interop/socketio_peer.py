"""A flask_socketio server: `socketio_peer.py PORT` answers the event `hello`, and drops who does not answer its pings."""
import sys

from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
# The transport is WebSocket (simple-websocket), without polling before it.
socketio = SocketIO(app, async_mode="threading", ping_interval=1, ping_timeout=1)


@socketio.on("hello")
def hello(data):
    emit("answer", {"to": data})


@socketio.on("large")
def large(data):
    emit("large", "x" * data)


socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
