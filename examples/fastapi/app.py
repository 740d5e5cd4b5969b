"""A report service, as it was before anybody thought of a queue: it knows nothing of raincheck, and answers when it is done."""

import asyncio
from datetime import date

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


class Wish(BaseModel):
    month: int = Field(ge=1, le=12)


@app.post("/reports")
async def report(wish: Wish) -> dict:
    await asyncio.sleep(5)  # many services, large tables
    return {"report": f"{date(2026, wish.month, 1):%B}", "orders": 1200 + 17 * wish.month}
