//! Waits as long as it is told: `{"seconds": 1.5}` makes `{"slept": 1.5}`.

use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::domain::Payload;
use serde_json::json;

use super::json_input::{JsonInput, too_large};
use crate::{Context, Handler, HandlerError, LargeInput, Outcome};

/// The longest sleep: one day.
pub(super) const MAX_SECONDS: f64 = 86_400.0;

/// Waits as long as it is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sleep;

#[async_trait]
impl Handler for Sleep {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let seconds = match read(&input) {
            Ok(seconds) => seconds,
            Err(error) => return error.fail(),
        };
        tokio::select! {
            () = context.sleep(Duration::from_secs_f64(seconds)) => {
                Outcome::Complete(Payload::json(json!({ "slept": seconds }).to_string()))
            }
            () = context.canceled() => Outcome::stopped(),
        }
    }

    async fn run_large(&self, _: LargeInput, _: Context) -> Outcome {
        too_large()
    }
}

pub(super) fn read(input: &Payload) -> Result<f64, HandlerError> {
    let mut input = JsonInput::parse(input)?;
    let seconds = input.seconds("seconds", MAX_SECONDS)?;
    input.finish()?;
    seconds.ok_or_else(|| HandlerError::new("`seconds` is missing: say how long, for instance {\"seconds\": 1.5}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::trial::attempt;

    async fn sleep(input: &'static str) -> Outcome {
        let (context, _, _) = attempt();
        Sleep.run(Payload::json(input), context).await
    }

    #[tokio::test]
    async fn a_sleeper_says_how_long_it_slept() {
        assert_eq!(sleep(r#"{"seconds": 0.01}"#).await, Outcome::Complete(Payload::json(r#"{"slept":0.01}"#)));
    }

    #[tokio::test]
    async fn a_canceled_sleeper_wakes_at_once() {
        let (context, _, canceled) = attempt();
        let input = Payload::json(r#"{"seconds": 3600}"#);
        let asleep = Sleep.run(input, context);
        canceled.cancel();
        assert_eq!(asleep.await, Outcome::stopped());
    }

    #[tokio::test]
    async fn a_bad_input_fails_for_good_and_names_the_field() {
        let cases = [
            ("", "`seconds` is missing"),
            ("{}", "`seconds` is missing"),
            (r#"{"seconds": "1"}"#, "`seconds` must be a number from 0 to 86400"),
            (r#"{"seconds": -1}"#, "`seconds` must be a number"),
            (r#"{"seconds": 86401}"#, "`seconds` must be a number"),
            (r#"{"seconds": 1e400}"#, "not JSON"),
            (r#"{"seconds": 1, "minutes": 1}"#, "\"minutes\" is not a field"),
            ("[1]", "must be a JSON object"),
            ("{", "not JSON"),
        ];
        for (input, expected) in cases {
            let Outcome::Fail(error) = sleep(input).await else { panic!("{input} was taken") };
            assert!(error.message.contains(expected), "{input}: {}", error.message);
        }
    }
}
