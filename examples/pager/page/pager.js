// Orders, and a pager for each of them. Everything that is known of an order is its id, kept in the browser: the rest is asked.

const api = new URL(new URLSearchParams(location.search).get("api") ?? "http://127.0.0.1:8080")
const shelf = document.querySelector("#pagers")
const trouble = document.querySelector("#trouble")

const orders = () => JSON.parse(localStorage.getItem("orders") ?? "[]")
const keep = ids => localStorage.setItem("orders", JSON.stringify(ids))
const call = (path, init) => fetch(new URL(path, api), init)

/** What the server said in plain words, where it said anything. */
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}))
  return problem.detail ?? `the server answered ${answer.status}`
}

async function order(dish) {
  // Made once: were the answer lost and the order sent again, there would still be one meal.
  const key = `"${crypto.randomUUID()}"`
  const body = JSON.stringify({ kind: "takeaway", input: { dish } })
  const send = () => call("/v1/jobs", { method: "POST", headers: { "content-type": "application/json", "idempotency-key": key }, body })
  const answer = await send().catch(send)
  if (!answer.ok) throw new Error(await refusal(answer))
  return (await answer.json()).id
}

function buzz(pager) {
  pager.classList.add("buzzing")
  navigator.vibrate?.([200, 100, 200, 100, 400])
  setTimeout(() => pager.classList.remove("buzzing"), 2500)
}

/** Shows one order, and follows it until it is done. The stream comes back by itself when the server does. */
function follow(id, isWaitedFor) {
  const pager = document.querySelector("#pager").content.firstElementChild.cloneNode(true)
  const [number, bar, says] = [".number", "progress", ".says"].map(part => pager.querySelector(part))
  const [cancel, away] = [".cancel", ".away"].map(part => pager.querySelector(part))
  number.textContent = id.slice(-4).toUpperCase()
  pager.dataset.order = id
  shelf.prepend(pager)

  const stream = new EventSource(new URL(`/v1/jobs/${id}/events`, api))
  const show = event => {
    const job = JSON.parse(event.data)
    pager.dataset.status = job.status
    pager.classList.toggle("cooking", job.status === "in_progress")
    bar.value = job.done ? 100 : (job.progress?.percent ?? 0)
    says.textContent = {
      succeeded: job.result?.value?.meal,
      failed: job.error?.message,
      canceled: "Canceled.",
      in_progress: `Not ready: ${job.progress?.message || "in the kitchen"}.`,
    }[job.status] ?? "Not ready: waiting for a cook."
    if (!job.done) {
      isWaitedFor = true
      return
    }
    stream.close()
    cancel.hidden = true
    away.hidden = false
    pager.classList.toggle("ready", job.status === "succeeded")
    // Who comes back to an order that was done before needs no buzz.
    if (isWaitedFor) buzz(pager)
  }
  for (const type of ["snapshot", "progress", "status", "done"]) stream.addEventListener(type, show)
  stream.onerror = () => {
    // Still connecting: it tries by itself. Closed: the order is no longer there, or may not be seen.
    says.textContent = stream.readyState === EventSource.CLOSED ? "The kitchen does not know this order." : "The line is busy, trying again…"
    if (stream.readyState === EventSource.CLOSED) [cancel.hidden, away.hidden] = [true, false]
  }
  cancel.onclick = () => call(`/v1/jobs/${id}/cancel`, { method: "POST" })
  away.onclick = () => {
    keep(orders().filter(other => other !== id))
    pager.remove()
  }
}

document.querySelector("#order").addEventListener("submit", async event => {
  event.preventDefault()
  trouble.hidden = true
  try {
    const id = await order(new FormData(event.target).get("dish"))
    keep([...orders(), id])
    follow(id, true)
  } catch (error) {
    trouble.textContent = `That did not work: ${error.message}`
    trouble.hidden = false
  }
})

orders().forEach(id => follow(id, false))
