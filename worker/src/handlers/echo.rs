//! Gives the input back, bytes and type.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use raincheck_shared::domain::Payload;

use crate::{Context, Handler, LargeInput, Outcome};

/// Gives the input back, bytes and type.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn run(&self, input: Payload, _context: Context) -> Outcome {
        Outcome::Complete(input)
    }

    async fn run_large(&self, input: LargeInput, context: Context) -> Outcome {
        tokio::select! {
            copied = copy(&input, &context) => copied.unwrap_or_else(|failed| failed),
            () = context.canceled() => Outcome::stopped(),
        }
    }
}

async fn copy(input: &LargeInput, context: &Context) -> Result<Outcome, Outcome> {
    let mut output = context.output(input.content_type());
    let mut pieces = input.pieces().await?;
    while let Some(piece) = pieces.try_next().await? {
        output.write(&piece).await?;
    }
    Ok(output.finish().await)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::handlers::trial::attempt;

    #[tokio::test]
    async fn an_echo_is_the_input_in_bytes_and_type() {
        let input = Payload { content_type: "image/x; a=b".to_owned(), bytes: Bytes::from_static(&[0, 255, 13, 10]) };
        let (context, _, _) = attempt();
        assert_eq!(Echo.run(input.clone(), context).await, Outcome::Complete(input));
    }
}
