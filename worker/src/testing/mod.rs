//! Runs one job of a handler in a unit test: under the limits that a worker has, in time that passes when it is told to.
//!
//! A [`JobTrial`] goes through attempts, retries and snoozes as a real job does, without a store, a broker or a second of
//! waiting. Time is virtual for whoever asks the [`Context`](crate::Context) for it: its `sleep`, `now` and `time_left`, the
//! run timeout and the pauses between attempts. What waits for anything else waits for that.
//!
//! ```
//! use std::time::Duration;
//!
//! use raincheck_worker::testing::{JobTrial, State};
//! use raincheck_worker::{Context, HandlerError, Outcome, typed};
//!
//! async fn bake(loaves: u32, context: Context) -> Result<String, Outcome> {
//!     if context.attempt() == 1 {
//!         return Err(HandlerError::new("the oven is cold").retry_after(Duration::from_secs(600)));
//!     }
//!     context.report(50.0, "rising");
//!     context.sleep(Duration::from_secs(3_600)).await;
//!     Ok(format!("{loaves} loaves"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // In a test: #[tokio::test] async fn the_second_attempt_bakes() { … }
//! let mut job = JobTrial::of(typed(bake)).json(&3).timeout(Duration::from_secs(7_200)).start().await;
//! assert!(matches!(job.state(), State::Waiting { .. }));
//!
//! job.pass(Duration::from_secs(600)).await;
//! assert_eq!((job.attempt(), job.progress().unwrap().percent), (2, 50.0));
//!
//! job.pass(Duration::from_secs(3_599)).await;
//! assert!(matches!(job.state(), State::Running));
//! job.pass(Duration::from_secs(1)).await;
//! let State::Succeeded(output) = job.state() else { panic!("{:?}", job.state()) };
//! assert_eq!(output.bytes, r#""3 loaves""#);
//! # }
//! ```

mod job_trial;
mod state;
mod virtual_clock;

pub use job_trial::{JobTrial, Setup};
pub use state::State;
pub use virtual_clock::VirtualClock;

pub(crate) use virtual_clock::Sleeper;
