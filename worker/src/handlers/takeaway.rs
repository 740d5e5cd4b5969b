//! A kitchen that cooks for a few seconds and says how far it is. For demonstrations and first tries.
//!
//! Input, each field optional: `{"dish": "ramen", "seconds": 3}`.

use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::domain::Payload;
use serde_json::json;

use super::json_input::{JsonInput, too_large};
use crate::{Context, Handler, HandlerError, LargeInput, Outcome};

/// The longest that anything cooks.
pub(super) const MAX_SECONDS: f64 = 60.0;

/// What the kitchen does, in order, each for the same time.
const STEPS: [&str; 5] = ["chopping", "frying", "simmering", "seasoning", "packing"];

/// A kitchen that cooks for a few seconds and says how far it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takeaway;

pub(super) struct Order {
    pub(super) dish: String,
    pub(super) seconds: f64,
}

impl Order {
    pub(super) fn read(input: &Payload) -> Result<Self, HandlerError> {
        let mut input = JsonInput::parse(input)?;
        let dish = input.line("dish", 100)?.unwrap_or_else(|| "ramen".to_owned());
        let seconds = input.seconds("seconds", MAX_SECONDS)?.unwrap_or(3.0);
        input.finish()?;
        Ok(Self { dish, seconds })
    }

    fn meal(&self) -> String {
        format!("{} one {}, still hot", picture(&self.dish), self.dish)
    }
}

#[async_trait]
impl Handler for Takeaway {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let order = match Order::read(&input) {
            Ok(order) => order,
            Err(error) => return error.fail(),
        };
        tokio::select! {
            () = cook(&order, &context) => {}
            () = context.canceled() => return Outcome::stopped(),
        }
        let served = json!({
            "dish": order.dish,
            "order": context.job_id().to_string(),
            "meal": order.meal(),
            "cooked_for_seconds": order.seconds,
        });
        Outcome::Complete(Payload::json(served.to_string()))
    }

    async fn run_large(&self, _: LargeInput, _: Context) -> Outcome {
        too_large()
    }
}

async fn cook(order: &Order, context: &Context) {
    let step = Duration::from_secs_f64(order.seconds).div_f64(5.0);
    let mut percent = 0.0;
    for doing in STEPS {
        context.report(percent, doing);
        context.sleep(step).await;
        percent += 20.0;
    }
    context.report(percent, "ready");
}

fn picture(dish: &str) -> &'static str {
    let dish = dish.to_lowercase();
    let pictures = [
        ("ramen", "🍜"),
        ("noodle", "🍜"),
        ("pizza", "🍕"),
        ("sushi", "🍣"),
        ("curry", "🍛"),
        ("taco", "🌮"),
        ("burrito", "🌯"),
        ("burger", "🍔"),
        ("dumpling", "🥟"),
        ("salad", "🥗"),
        ("soup", "🍲"),
    ];
    pictures.iter().find(|(name, _)| dish.contains(name)).map_or("🥡", |(_, picture)| picture)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::handlers::trial::attempt;

    #[tokio::test]
    async fn a_meal_carries_its_order_and_ends_at_a_hundred_percent() {
        let (context, reported, _) = attempt();
        let order = context.job_id().to_string();
        let outcome = Takeaway.run(Payload::json(r#"{"dish": "Pizza Napoli", "seconds": 0.05}"#), context).await;
        let Outcome::Complete(payload) = outcome else { panic!("{outcome:?}") };
        let meal: Value = serde_json::from_slice(&payload.bytes).unwrap();
        assert_eq!(meal["dish"], "Pizza Napoli");
        assert_eq!(meal["order"], order);
        assert_eq!(meal["meal"], "🍕 one Pizza Napoli, still hot");
        assert_eq!(meal["cooked_for_seconds"], 0.05);
        let last = reported.borrow().clone().unwrap();
        assert_eq!((last.percent, last.message.as_deref()), (100.0, Some("ready")));
    }

    #[tokio::test]
    async fn each_step_is_reported_in_turn() {
        let (context, mut reported, _) = attempt();
        let cooking = Takeaway.run(Payload::json(r#"{"seconds": 0.5}"#), context);
        let watching = async {
            let mut seen = Vec::new();
            while reported.changed().await.is_ok() {
                let progress = reported.borrow_and_update().clone().unwrap();
                seen.push(progress.message.unwrap());
            }
            seen
        };
        let (_, seen) = tokio::join!(cooking, watching);
        assert_eq!(seen, ["chopping", "frying", "simmering", "seasoning", "packing", "ready"]);
    }

    #[tokio::test]
    async fn a_canceled_order_is_not_cooked_on() {
        let (context, _, canceled) = attempt();
        canceled.cancel();
        assert_eq!(Takeaway.run(Payload::json(r#"{"seconds": 60}"#), context).await, Outcome::stopped());
    }

    #[tokio::test]
    async fn a_bad_order_fails_for_good_and_names_the_field() {
        for (input, field) in [
            (r#"{"dish": 7}"#, "`dish`"),
            (r#"{"dish": " "}"#, "`dish`"),
            ("{\"dish\": \"a\\nb\"}", "`dish`"),
            (r#"{"seconds": 61}"#, "`seconds`"),
            (r#"{"dessert": true}"#, "\"dessert\""),
        ] {
            let (context, _, _) = attempt();
            let Outcome::Fail(error) = Takeaway.run(Payload::json(input), context).await else { panic!("{input}") };
            assert!(error.message.contains(field), "{input}: {}", error.message);
        }
    }
}
