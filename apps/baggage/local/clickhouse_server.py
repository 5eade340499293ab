"""ClickHouse's HTTP interface over chDB, the ClickHouse engine as a library.

`python -m baggage.local.clickhouse_server --port 8123 --path DIR`. It serves what clickhouse-connect, the JDBC driver
and curl ask for; users, and ClickHouse's own block compression, are for the real server.
"""

from __future__ import annotations

import argparse
import gzip
import json
import queue
import re
import signal
import sys
import threading
import time
import urllib.request
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
import zstandard

from baggage.local.processes import Process

HOST = "127.0.0.1"

# Parameters of a request that are not settings of the query.
_NOT_SETTINGS = {
    *("query", "database", "query_id", "default_format", "user", "password", "quota_key", "role", "compress"),
    *("decompress", "session_id", "session_timeout", "session_check", "buffer_size", "wait_end_of_query"),
    *("enable_http_compression", "client_protocol_version", "send_progress_in_http_headers"),
    *("http_headers_progress_interval_ms", "http_zlib_compression_level", "add_http_cors_header", "stacktrace"),
}
_INSERT_WITH_FORMAT = re.compile(
    r"^\s*(?P<insert>INSERT\s+INTO\b(?:(?!\b(?:SELECT|VALUES)\b).)*?)\bFORMAT\s+(?P<format>\w+)\s*?(?:;|\n|$)",
    re.IGNORECASE | re.DOTALL,
)
_FORMAT_OF_QUERY = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_ERROR_CODE = re.compile(r"Code: (\d+)")
# ClickHouse answers an unknown table or database with 404 and what the client got wrong with 400.
_NOT_FOUND = {"60", "81"}
_BAD_REQUEST = {"6", "26", "27", "36", "41", "42", "43", "46", "47", "53", "57", "62", "70", "72", "115", "117", "386"}
_UNKNOWN_ERROR = "1002"
_MOST_CONNECTIONS = 16
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Answer:
    """The result of a query: its bytes, their format, and the rows read and written."""

    body: bytes
    format: str
    read_rows: int = 0
    written_rows: int = 0


class Engine:
    """One data directory, and connections to it; each serves one query at a time."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = str(path)
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(_MOST_CONNECTIONS):
            self._idle.put(None)
        with self._connection("default", {}):
            pass  # opens the directory now, so that a wrong one fails at the start

    def query(self, sql: str, form: str, database: str, settings: dict[str, str], params: dict[str, str]) -> Answer:
        """Run a query and give its result in a format."""
        named = _FORMAT_OF_QUERY.search(sql)
        if named and not sql.lstrip()[:6].upper().startswith("INSERT"):
            sql, form = sql[: named.start()], named[1]
        with self._connection(database, settings) as connection:
            result = connection.query(sql, form, params=params or None)
            return Answer(result.bytes() or b"", form, read_rows=result.rows_read())

    def insert(self, into: str, form: str, chunks: Iterable[bytes], database: str, settings: dict[str, str]) -> Answer:
        """Stream rows of a format into a table."""
        with self._connection(database, settings) as connection:
            stream = connection.send_insert(into, form)
            try:
                for chunk in chunks:
                    stream.append(chunk)
                return Answer(b"", form, written_rows=stream.finish().rows_written)
            except BaseException:
                stream.cancel()
                raise

    @contextmanager
    def _connection(self, database: str, settings: dict[str, str]) -> Iterator[Any]:
        """A connection with a database and settings, both for this query alone."""
        connection = self._idle.get() or chdb.connect(self._path)
        keep = False
        try:
            connection.query(f"USE `{database.replace('`', '')}`")
            for name, value in settings.items():
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"SET {name} = '{quoted}'")
            try:
                yield connection
            finally:
                for name in settings:
                    connection.query(f"SET {name} = DEFAULT")
            keep = True
        except RuntimeError:
            keep = True
            raise
        finally:
            if not keep:
                connection.close()
            self._idle.put(connection if keep else None)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    disable_nagle_algorithm = True
    engine: Engine

    def do_GET(self) -> None:
        """A query in the address, or a ping."""
        self._serve(iter(()))

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def do_POST(self) -> None:
        """A query in the address or the body, or rows in the body."""
        self._serve(self._body())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        """Say nothing: a line for each request would fill the log."""

    def _serve(self, body: Iterator[bytes]) -> None:
        address = urlsplit(self.path)
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        if address.path == "/ping" or (self.command != "POST" and "query" not in params):
            self._reply(HTTPStatus.OK, b"Ok.\n", {"Content-Type": "text/plain"})
            return
        started = time.monotonic()
        headers = {"X-ClickHouse-Query-Id": params.get("query_id") or str(uuid.uuid4())}
        try:
            answer = self._answer(params, body)
        except ConnectionError:
            self.close_connection = True
            return
        except Exception as error:
            for _ in body:  # the rest of the request is in the way of the next one
                pass
            self._reply_error(str(error), headers)
            return
        headers |= {
            "X-ClickHouse-Format": answer.format,
            "Content-Type": "application/octet-stream" if "Native" in answer.format else "text/plain; charset=UTF-8",
            "X-ClickHouse-Summary": json.dumps(
                {
                    "read_rows": str(answer.read_rows),
                    "written_rows": str(answer.written_rows),
                    "result_rows": str(answer.read_rows),
                    "elapsed_ns": str(int((time.monotonic() - started) * 1e9)),
                }
            ),
        }
        content, encoding = self._encoded(answer.body, params)
        self._reply(HTTPStatus.OK, content, headers | encoding)

    def _answer(self, params: dict[str, str], body: Iterator[bytes]) -> Answer:
        database = params.get("database") or self.headers.get("X-ClickHouse-Database") or "default"
        settings = {k: v for k, v in params.items() if k.isidentifier() and not k.startswith("param_")}
        settings = {k: v for k, v in settings.items() if k not in _NOT_SETTINGS}
        text = params.get("query", "")
        if not text:
            first = next(body, b"")
            rows = _INSERT_WITH_FORMAT.match(first[:_CHUNK].decode("latin-1"))
            if rows is None:
                text = b"".join([first, *body]).decode()
            else:
                text, body = first[: rows.end()].decode(), chain([first[rows.end() :]], body)
        rows = _INSERT_WITH_FORMAT.match(text)
        if rows:
            return self.engine.insert(rows["insert"], rows["format"], body, database, settings)
        text = "\n".join(filter(None, [text, b"".join(body).decode()]))
        form = params.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        named = {k.removeprefix("param_"): v for k, v in params.items() if k.startswith("param_")}
        return self.engine.query(text, form, database, settings, named)

    def _body(self) -> Iterator[bytes]:
        """The body, decoded, in chunks."""
        encoding = self.headers.get("Content-Encoding", "").lower()
        raw = self._raw_body()
        if encoding in ("", "identity"):
            return raw
        if encoding in ("gzip", "deflate"):
            decoder: Any = zlib.decompressobj(47)
        elif encoding == "zstd":
            decoder = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        elif encoding == "lz4":
            decoder = lz4.frame.LZ4FrameDecompressor()
        else:
            raise ValueError(f"Code: 89. Unknown compression method {encoding}")
        return (decoder.decompress(chunk) for chunk in raw)

    def _raw_body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self._read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            chunk = self._read(min(left, _CHUNK))
            left -= len(chunk)
            yield chunk

    def _read(self, size: int) -> bytes:
        chunk = self.rfile.read(size)
        if len(chunk) < size:
            raise ConnectionError("the client went away")
        return chunk

    def _encoded(self, content: bytes, params: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        accepted = self.headers.get("Accept-Encoding", "")
        if params.get("enable_http_compression") != "1" or not content:
            return content, {}
        if "zstd" in accepted:
            return zstandard.ZstdCompressor(1).compress(content), {"Content-Encoding": "zstd"}
        if "lz4" in accepted:
            return lz4.frame.compress(content), {"Content-Encoding": "lz4"}
        if "gzip" in accepted:
            return gzip.compress(content, 1), {"Content-Encoding": "gzip"}
        return content, {}

    def _reply_error(self, message: str, headers: dict[str, str]) -> None:
        found = _ERROR_CODE.search(message)
        code = found[1] if found else _UNKNOWN_ERROR
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if code in _NOT_FOUND:
            status = HTTPStatus.NOT_FOUND
        elif code in _BAD_REQUEST:
            status = HTTPStatus.BAD_REQUEST
        text = message if found else f"Code: {code}. {message}"
        self._reply(
            status, text.encode(), headers | {"X-ClickHouse-Exception-Code": code, "Content-Type": "text/plain"}
        )

    def _reply(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        fixed = {"X-ClickHouse-Server-Display-Name": "chdb", "X-ClickHouse-Timezone": "UTC"}
        for name, value in (fixed | headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


def process(directory: Path, logs: Path, port: int) -> Process:
    """The server as a child process; it is started again when it dies, and what it stored is there."""
    command = [sys.executable, "-m", __name__, "--port", str(port), "--path", str(directory)]
    # As the official image has it: the engine takes the zone of the machine for what names none.
    return Process("ClickHouse", command, logs / "clickhouse.log", {"TZ": "UTC"}, restart=True)


def answers_ping(port: int) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/ping", timeout=1) as response:
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--path", type=Path, required=True, help="where the data is")
    arguments = parser.parse_args()
    Handler.engine = Engine(arguments.path)
    server = Server((HOST, arguments.port), Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
