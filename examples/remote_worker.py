#!/usr/bin/env python3
"""A worker in another language: it leases jobs over HTTP and needs nothing but Python.

    cargo run -- up --set kinds.shout.remote=true
    python3 examples/remote_worker.py
    curl -d 'hello' -H 'Content-Type: text/plain' -H 'Prefer: wait=10' localhost:8080/v1/kinds/shout/jobs

RAINCHECK_URL says where the API is, RAINCHECK_KEY is a key with the scope jobs:work, where keys are needed.
"""
import json, os, threading, time, urllib.parse, urllib.request

API = os.environ.get("RAINCHECK_URL", "http://127.0.0.1:8080")
KEY = {"Authorization": f"Bearer {os.environ['RAINCHECK_KEY']}"} if "RAINCHECK_KEY" in os.environ else {}


def send(request):
    with urllib.request.urlopen(request, timeout=90) as answer:
        return answer.read()


def call(path, body=b"", kind="application/json", **headers):
    headers = {"Content-Type": kind, **KEY, **headers}
    return json.loads(send(urllib.request.Request(API + path, body, headers, method="POST")) or "{}")


def text_of(given):
    if "value" in given:
        return given["value"]
    # It is long, or neither JSON nor text.
    url = urllib.parse.urljoin(API, given["url"])
    return send(urllib.request.Request(url, headers=KEY)).decode(errors="replace")


def run(lease, path, done):
    try:
        call(path + "/complete", text_of(lease["input"]).upper().encode(), "text/plain; charset=utf-8")
    except Exception as error:  # whatever it is: raincheck decides whether the job is tried again
        call(path + "/fail", json.dumps({"message": repr(error)}).encode())
    finally:
        done.set()


while True:
    try:
        for lease in call("/v1/leases", b'{"kinds": ["shout"], "worker": "python"}', Prefer="wait=30").get("leases", []):
            path, done = f"/v1/leases/{lease['token']}", threading.Event()
            threading.Thread(target=run, args=(lease, path, done), daemon=True).start()
            while not done.wait(lease["heartbeat_every_ms"] / 1000):
                call(path + "/heartbeat")
    except OSError as error:  # away, or the lease was lost: there is always another one
        print(error, flush=True)
        time.sleep(1)
