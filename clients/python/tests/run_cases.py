"""Runs the shared cases with this client, as the stage in clients/cases has it. Every name is printed with how it went."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import raincheck_client as rc

CASES = Path(os.environ["RAINCHECK_CASES"])
PROXY = os.environ["RAINCHECK_CASES_PROXY"]
KEYS: dict[str, str] = json.loads(os.environ["RAINCHECK_CASES_KEYS"])

ERRORS = {
    "api": rc.ApiError,
    "unreachable": rc.Unreachable,
    "redirected": rc.Redirected,
    "timeout": rc.WaitTimeout,
    "job_failed": rc.JobFailed,
    "damaged": rc.ResultDamaged,
}


def control(method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(PROXY + path, data, method=method), timeout=60) as answer:
        return json.load(answer)


def same(what: str, is_: Any, wanted: Any) -> None:
    if is_ != wanted:
        raise AssertionError(f"{what} is {is_!r}, wanted: {wanted!r}")


class Run:
    """One case. `handle` is the job of the latest submit, `key` its idempotency key."""

    def __init__(self, case: dict[str, Any], base: str) -> None:
        url = PROXY + base + ("/" if case.get("slash") else "")
        settings = {"retry_budget": 30.0, "stream_patience": 5.0, **case.get("client", {})}
        self.client = rc.Client(url, api_key=KEYS[case.get("api_key", "usual")], **settings)
        self.unique = str(uuid.uuid4())
        self.handle: Optional[rc.JobHandle] = None
        self.key: Optional[str] = None
        self.sent = b""

    @property
    def job(self) -> rc.JobHandle:
        assert self.handle is not None, "no job was submitted"
        return self.handle

    def step(self, step: dict[str, Any]) -> None:
        do: Callable[[dict[str, Any], dict[str, Any]], None] = getattr(self, step["do"])
        started = time.monotonic()
        if "error" in step:
            self.fails(do, step)
        else:
            do(step, step.get("expect", {}))
        if "within" in step and time.monotonic() - started > step["within"]:
            raise AssertionError(f"it took {time.monotonic() - started} s, wanted: {step['within']}")

    def fails(self, do: Callable[[dict[str, Any], dict[str, Any]], None], step: dict[str, Any]) -> None:
        wanted = step["error"]
        try:
            do(step, {})
        except ValueError as error:
            same("the type of the error", "invalid", wanted["type"])
            assert wanted["says"] in str(error), f"it says: {error}"
        except rc.RaincheckError as error:
            same("the type of the error", type(error), ERRORS[wanted["type"]])
            if error.idempotency_key is not None:
                self.key = error.idempotency_key
            for name in ("status", "code", "detail", "request_id"):
                if name in wanted:
                    same(name, getattr(error, name), wanted[name])
            if "job_status" in wanted:
                assert isinstance(error, rc.JobFailed)
                same("the status of the job", error.job.status, wanted["job_status"])
                same("the error of the job", error.code, wanted.get("job_code"))
            if wanted.get("has_request_id"):
                assert getattr(error, "request_id"), "the error has no request_id"
            if wanted.get("names_key"):
                assert error.idempotency_key and error.idempotency_key in str(error), "the error does not name the key"
            if wanted.get("names_job"):
                same("the job of the error", error.job_id, self.job.id)
                assert self.job.id in str(error), "the message does not name the job"
        else:
            raise AssertionError(f"{step['do']} went well, wanted: {wanted}")

    def submit(self, step: dict[str, Any], _: dict[str, Any]) -> None:
        key = self.unique if step.get("key") == "$unique" else step.get("key")
        options = step.get("options")
        self.submitted(self.client.submit(step["kind"], step.get("input"), idempotency_key=key, options=options))

    def submit_bytes(self, step: dict[str, Any], _: dict[str, Any]) -> None:
        self.sent = bytes(i * 31 % 251 for i in range(step["size"]))
        kind = step.get("content_type", "application/octet-stream")
        self.submitted(self.client.submit_bytes(step["kind"], self.sent, kind, options=step.get("options")))

    def submitted(self, handle: rc.JobHandle) -> None:
        same("the version of the job's id", uuid.UUID(handle.id).version, 7)
        self.handle, self.key = handle, handle.idempotency_key

    def open(self, step: dict[str, Any], _: dict[str, Any]) -> None:
        milliseconds = int(time.time() * 1000).to_bytes(6, "big")
        fresh = uuid.UUID(bytes=milliseconds + b"\x70\x00\x80" + os.urandom(7))
        self.handle = self.client.job(str(fresh) if step["id"] == "$unknown" else step["id"])

    def wait(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        self.ended(self.job.wait(timeout=step.get("timeout", 60)), expect)

    def ended(self, job: rc.Job, expect: dict[str, Any]) -> None:
        if "status" in expect:
            same("the status", job.status, expect["status"])
        if "value" in expect:
            same("the value", job.value, expect["value"])

    def stream(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        jobs = list(self.job.stream(timeout=step.get("timeout", 60)))
        versions = [job.version for job in jobs]
        assert all(a < b for a, b in zip(versions, versions[1:])), f"versions do not rise: {versions}"
        assert len(jobs) >= expect["at_least"], f"{len(jobs)} snapshots, wanted: {expect['at_least']}"
        same("done", [job.done for job in jobs], [False] * (len(jobs) - 1) + [True])
        same("the last status", jobs[-1].status, expect["last"])
        if expect.get("progress"):
            percents = [job.progress["percent"] for job in jobs if job.progress]
            assert len(percents) > 1 and percents == sorted(percents), f"progress: {percents}"

    def result(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        self.came(self.job.result(timeout=step.get("timeout", 60)), expect)

    def download(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        download = self.job.download()
        body = b"".join(download)
        self.came(rc.Result(body, download.content_type or "", download.verified), expect)

    def came(self, result: rc.Result, expect: dict[str, Any]) -> None:
        if "json" in expect:
            same("the result", result.json(), expect["json"])
        if expect.get("bytes_of_input"):
            assert result.body == self.sent, f"{len(result.body)} bytes, which are not the {len(self.sent)} that were sent"
        if "content_type" in expect:
            same("the media type", result.content_type, expect["content_type"])
        if "verified" in expect:
            same("verified", result.verified, expect["verified"])

    def cancel(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        self.ended(self.job.cancel(step.get("reason")), expect)

    def schedule(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        call, name, schedules = step["call"], step["name"], self.client.schedules
        if call == "delete":
            same("deleted", schedules.delete(name), expect["deleted"])
            return
        if call in ("put", "preview"):
            found = getattr(schedules, call)(name, step["cron"], step["kind"])
        elif call == "get":
            found = schedules.get(name, step.get("count", 5))
        elif call == "list":
            found = next(one for one in schedules.list() if one.name == name)
        else:
            found = getattr(schedules, call)(name)
        for field in ("name", "paused"):
            same(field, getattr(found, field), expect.get(field, getattr(found, field)))
        same("the runs", len(found.next), expect.get("runs", len(found.next)))
        same("the local times", [expect.get("local", "") in run.local for run in found.next], [True] * len(found.next))

    def trigger(self, step: dict[str, Any], _: dict[str, Any]) -> None:
        self.submitted(self.client.schedules.trigger(step["name"]))

    def redrive(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        done = self.client.redrive(kind=step["kind"], tags=step["tags"], dry_run=step["dry_run"])
        same("the jobs", (len(done.jobs), done.refused, done.more), (expect["jobs"], [], False))
        for job in done.jobs:
            same("the job that failed", job.id, self.job.id)
            same("whether it is tried", job.retried_by is None, step["dry_run"])
            if job.retried_by is not None:
                again = self.client.job(job.retried_by).refresh()
                same("what the new job tries", again.raw["retry_of"], job.id)

    def find(self, step: dict[str, Any], expect: dict[str, Any]) -> None:
        key = step.get("key", self.key)
        assert key is not None
        found = self.client.find_by_idempotency_key(key)
        same("found", found is not None, expect["found"])
        if expect.get("adopt"):
            self.handle = found
        elif found is not None:
            same("the job that was found", found.id, self.job.id)


def run_case(case: dict[str, Any]) -> list[str]:
    base = control("POST", "/_cases", case)["base"]
    failures = []
    run = Run(case, base)
    for number, step in enumerate(case["steps"], 1):
        try:
            run.step(step)
        except Exception:
            failures.append(f"step {number}, {step['do']}: {traceback.format_exc()}")
            break
    verdict = control("GET", f"/_cases/{base.split('/')[-1]}/verdict")
    failures += verdict["failures"]
    if failures:
        first = verdict["requests"][0]["at"] if verdict["requests"] else 0
        failures += [f"{r['at'] - first:8.3f} s  {r['class']} {r['target']}: {r['fault']}" for r in verdict["requests"]]
    return failures


def run_webhook(case: dict[str, Any]) -> list[str]:
    if case.get("ed25519"):
        try:
            rc.verify_webhook(case["body"].encode(), case["headers"], case["secret"], now=int(case["headers"]["webhook-timestamp"]))
        except ValueError as refused:
            return [] if "Ed25519" in str(refused) else [f"refused for another reason: {refused}"]
        return ["a public key is no longer refused: let the case run"]
    try:
        event = rc.verify_webhook(case["body"].encode(), case["headers"], case["secret"], now=case["now"])
    except rc.WebhookRejected as rejected:
        return [f"rejected: {rejected}"] if case["accepted"] else []
    if not case["accepted"]:
        return ["accepted"]
    return [] if event.raw == json.loads(case["body"]) else [f"{event.raw} is not the body"]


def main() -> int:
    cases = json.loads((CASES / "cases.json").read_text())
    webhooks = json.loads((CASES / "webhooks.json").read_text())["cases"]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    work = [(run_case, case) for case in cases] + [(run_webhook, case) for case in webhooks]
    work = [(run, case) for run, case in work if wanted in case["name"]]
    failed = 0
    with ThreadPoolExecutor(12) as pool:
        for (_, case), failures in zip(work, pool.map(lambda one: one[0](one[1]), work)):
            print(("not ok  " if failures else "ok      ") + case["name"], flush=True)
            for failure in failures:
                print("        " + failure.replace("\n", "\n        "))
            failed += bool(failures)
    print(f"python {sys.version.split()[0]}: {len(work) - failed} of {len(work)} cases passed")
    return 1 if failed or not work else 0


if __name__ == "__main__":
    sys.exit(main())
