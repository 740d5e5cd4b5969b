//! A handler made of an async function from one type to another: the input is read from JSON, what it returns is written as
//! JSON.

use std::fmt;
use std::marker::PhantomData;

use async_trait::async_trait;
use raincheck_shared::domain::Payload;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Handler, HandlerError, Outcome};

/// A handler made of a function. See [`typed`].
pub struct Typed<F, I> {
    function: F,
    input: PhantomData<fn(I)>,
}

impl<F, I> fmt::Debug for Typed<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}

/// Makes a handler of an async function or closure. An input that is not what it takes fails the job for good, with a
/// message that says where it is wrong. An error is the [`Outcome`] of the attempt; `?` on a [`HandlerError`] means that
/// another attempt may mend it.
///
/// ```
/// use std::time::Duration;
///
/// use raincheck_worker::{Context, HandlerError, Outcome, typed};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Order {
///     dish: String,
///     portions: u32,
/// }
///
/// #[derive(Serialize)]
/// struct Meal {
///     cooked: String,
/// }
///
/// async fn cook(order: Order, context: Context) -> Result<Meal, Outcome> {
///     if order.portions == 0 {
///         return Err(HandlerError::new("nobody is hungry").fail());
///     }
///     for portion in 0..order.portions {
///         context.report(f64::from(portion) * 100.0 / f64::from(order.portions), "cooking");
///         context.sleep(Duration::from_secs(60)).await;
///     }
///     Ok(Meal { cooked: format!("{} × {}", order.portions, order.dish) })
/// }
///
/// let handler = typed(cook);
/// # let _: &dyn raincheck_worker::Handler = &handler;
/// ```
pub fn typed<F, I, O, R>(function: F) -> Typed<F, I>
where
    F: Fn(I, Context) -> R + Send + Sync + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send,
    R: Future<Output = Result<O, Outcome>> + Send,
{
    Typed { function, input: PhantomData }
}

#[async_trait]
impl<F, I, O, R> Handler for Typed<F, I>
where
    F: Fn(I, Context) -> R + Send + Sync + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send,
    R: Future<Output = Result<O, Outcome>> + Send,
{
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let input = match serde_json::from_slice(&input.bytes) {
            Ok(input) => input,
            Err(error) => return HandlerError::new(format!("the input is not what this kind takes: {error}")).fail(),
        };
        match (self.function)(input, context).await {
            Ok(output) => match serde_json::to_vec(&output) {
                Ok(bytes) => Outcome::Complete(Payload::json(bytes)),
                Err(error) => HandlerError::new(format!("what it made cannot be written as JSON: {error}")).fail(),
            },
            Err(outcome) => outcome,
        }
    }
}
