//! `text/event-stream`, as the HTML standard has it: frames, comments, and the answer that carries them.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, stream};
use raincheck_shared::lifecycle::IdSource;

use super::code::Code;
use super::extract::Accept;
use super::problem::Problem;

/// A stream that has nothing to say says so this often, so that proxies take it for alive.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);
/// The same, said.
pub(crate) const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// What clients wait at least until they connect again, in milliseconds, and how much more at most: those who lost the same
/// replica do not come to the next one all at once.
const RETRY: (f64, f64) = (500.0, 1500.0);

/// The first words of a stream.
pub(crate) fn opening() -> String {
    let (least, spread) = RETRY;
    format!("retry: {:.0}\n\n", least + spread * IdSource.fraction())
}

/// Writes one event. `data` may have several lines.
pub(crate) fn write_event(to: &mut String, name: &str, id: impl std::fmt::Display, data: &str) {
    // Writing to a String cannot fail.
    let _ = write!(to, "id: {id}\nevent: {name}\n");
    // All three ends of line that a client would see; `\r\n` is one of them, and makes no empty line of its own.
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        to.push_str("data: ");
        to.push_str(line);
        to.push('\n');
    }
    to.push('\n');
}

/// Demands that the client wants a stream of events.
pub(crate) fn demand(request: &HttpRequest) -> Result<(), Problem> {
    if Accept::of(request).quality("text", "event-stream") > 0 {
        return Ok(());
    }
    Err(Problem::new(Code::NotAcceptable, "this is text/event-stream only"))
}

/// The answer that carries a stream; to HEAD only its head.
pub(crate) fn answer(
    request: &HttpRequest,
    events: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header(("Content-Type", "text/event-stream"))
        .insert_header(("Cache-Control", "no-store, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header(("Vary", "Authorization, Accept, Last-Event-ID"));
    if request.method() == Method::HEAD {
        return response.streaming(stream::empty::<Result<Bytes, Infallible>>());
    }
    response.streaming(events)
}

/// The answer to a client that has seen all there will ever be: an `EventSource` then stays away.
pub(crate) fn nothing_more() -> HttpResponse {
    HttpResponse::NoContent().insert_header(("Cache-Control", "no-store, no-transform")).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_several_lines_is_put_together_again_by_the_client() {
        let mut text = String::new();
        write_event(&mut text, "done", 7, "{\n\"a\":\r\n1,\r\"b\": 2}");
        assert_eq!(text, "id: 7\nevent: done\ndata: {\ndata: \"a\":\ndata: 1,\ndata: \"b\": 2}\n\n");
    }

    #[test]
    fn a_stream_opens_with_a_pause_that_is_not_the_same_for_all() {
        let pause = || opening().trim().strip_prefix("retry: ").unwrap().parse::<u32>().unwrap();
        let pauses: Vec<u32> = (0..20).map(|_| pause()).collect();
        assert!(pauses.iter().all(|pause| (500..=2000).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }
}
