// Orders a meal, shows the order number, looks again and again, and eats.
import { Client, JobFailed } from "raincheck-client"

const client = new Client(process.env.RAINCHECK_URL ?? "http://127.0.0.1:8080")
const order = await client.submit("takeaway", { dish: "ramen" })
console.log("your order number:", order.id)
try {
  for await (const seen of order.stream({ timeoutMs: 60_000 })) console.log(seen.status, seen.progress?.message ?? "")
  const meal = (await order.result()).json() as { meal: string }
  console.log(meal.meal)
} catch (failure) {
  if (!(failure instanceof JobFailed)) throw failure
  console.log("no meal today:", failure.message)
}
