//! Are blobs where they were kept, and can they be written, read and removed?

use raincheck_shared::backends::open_blobs;
use raincheck_shared::blobs::is_away;
use raincheck_shared::config::{BlobPlace, BrokerSettings, Settings};
use raincheck_shared::domain::JobId;
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::telemetry::Chain;
use tokio::time::timeout;

use super::folder::try_to_write;
use super::{Findings, PATIENCE};

const OF_A_FOLDER: &str =
    "give the folder to the user that raincheck runs as, see that its disk has room, or set another `blobs.url`";

/// `owner`: a job that has a blob, if the store knows one.
pub(super) async fn check(settings: &Settings, owner: Option<JobId>, shutdown: &Shutdown, findings: &mut Findings) {
    let advice = match &settings.blobs.place {
        BlobPlace::Directory { path } if owner.is_some_and(|job| is_away(path, job)) => {
            return findings.bad(
                format!(
                    "the directory of blobs {} is away (not mounted?): jobs have blobs that are not there",
                    path.display()
                ),
                "mount it, or set `blobs.url` to where it is now; its mark, the file `raincheck-blobs`, belongs in it",
            );
        }
        BlobPlace::Directory { path } if !path.exists() => {
            let tried = try_to_write(path);
            let path = path.display();
            match tried {
                Ok(()) => findings.good(format!("{path} does not exist yet: it is made at the first start")),
                Err(why) => findings.bad(format!("the folder of blobs {path} cannot be made: {why}"), OF_A_FOLDER),
            }
            return;
        }
        BlobPlace::Directory { .. } => OF_A_FOLDER,
        BlobPlace::S3(_) => {
            "check `blobs.url`, `blobs.endpoint`, `blobs.region` and the key: the bucket must be there, and the key must be \
             allowed to list, read, write and delete in it"
        }
    };
    let named = named(settings);
    let tried = async {
        let blobs = open_blobs(&settings.blobs, shutdown)?;
        blobs.probe().await?;
        blobs.days().await.map(drop)
    };
    match timeout(PATIENCE, tried).await {
        Ok(Ok(())) => findings.good(format!("Blobs can be written, read and removed in {named}")),
        Ok(Err(error)) => findings.bad(format!("{named}: {}", Chain(&error)), advice),
        Err(_) => findings.bad(format!("{named} does not answer"), advice),
    }
    if let (BlobPlace::Directory { .. }, BrokerSettings::Rabbitmq(_)) = (&settings.blobs.place, &settings.broker) {
        findings.doubt(
            format!("Large inputs and results are files in {named}"),
            "right if every API and every worker sees the same folder; otherwise set `blobs.url = \"s3://…\"`",
        );
    }
}

fn named(settings: &Settings) -> String {
    match &settings.blobs.place {
        BlobPlace::Directory { path } => path.display().to_string(),
        BlobPlace::S3(s3) => format!("s3://{}", s3.bucket),
    }
}
