//! Attempts whose blob store is away: nobody pays for that.

use super::*;

impl Trial {
    /// With an input of so many bytes in the blob store.
    async fn reading(mut self, size: usize) -> Self {
        let spool = crate::output::Spool::new(self.blobs.clone(), self.job.fence);
        let (context, ..) = crate::handlers::trial::attempt();
        let blob = spool.keep(&Bytes::from(vec![1; size]), &context).await.unwrap();
        self.job.input = Content { content_type: "text/plain".to_owned(), body: Body::Blob(blob) };
        self
    }

    fn take_away(&self) {
        std::fs::rename(self.folder.file("blobs"), self.folder.file("aside")).unwrap();
    }

    fn bring_back(&self) {
        std::fs::rename(self.folder.file("aside"), self.folder.file("blobs")).unwrap();
    }
}

#[track_caller]
fn put_off(ended: &Ended) {
    let Ended::Snoozed(pause) = *ended else { panic!("not put off: {ended:?}") };
    assert!((Duration::from_millis(2_500)..=Duration::from_secs(5)).contains(&pause), "{pause:?}");
}

#[tokio::test]
async fn an_input_that_is_out_of_reach_is_put_off_until_it_is_back_and_one_that_is_lost_fails() {
    let counting = Closure(|input: Payload, _| async move { Outcome::Complete(text(input.bytes.len().to_string())) });
    let mut trial = Trial::of(counting).reading(2 << 20).await;
    trial.job.max_attempts = 1;
    trial.take_away();
    put_off(&trial.ended().await);
    // As where it was mounted.
    std::fs::create_dir(trial.folder.file("blobs")).unwrap();
    put_off(&trial.ended().await);
    std::fs::remove_dir(trial.folder.file("blobs")).unwrap();
    trial.bring_back();
    assert_eq!(kept(trial.ended().await).content, text("2097152").into());

    let Body::Blob(blob) = trial.job.input.body else { panic!("not a blob") };
    trial.blobs.remove_blob(blob.name).await.unwrap();
    assert!(!failed(trial.ended().await).retryable);
}

#[tokio::test]
async fn an_output_that_cannot_be_kept_in_the_time_that_is_left_is_put_off() {
    let mut trial = Trial::of(Closure(|_, context: Context| async move {
        let mut output = context.output("text/plain");
        match output.write(&vec![1; 3 << 20]).await {
            Ok(()) => output.finish().await,
            Err(outcome) => outcome,
        }
    }))
    .reading(1)
    .await;
    trial.job.input = text("").into();
    trial.job.max_attempts = 1;
    trial.job.run_timeout = Duration::from_secs(1);
    trial.take_away();
    put_off(&trial.ended().await);
    trial.bring_back();
    assert_eq!(kept(trial.ended().await).content.body.size(), 3 << 20);
}
