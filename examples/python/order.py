"""Orders a meal, shows the order number, looks again and again, and eats."""

import os

from raincheck_client import Client, JobFailed

client = Client(os.environ.get("RAINCHECK_URL", "http://127.0.0.1:8080"))
order = client.submit("takeaway", {"dish": "ramen"})
print("your order number:", order.id)
try:
    for seen in order.stream(timeout=60):
        print(seen.status, seen.progress["message"] if seen.progress else "")
    print(order.result().json()["meal"])
except JobFailed as failure:
    print("no meal today:", failure)
