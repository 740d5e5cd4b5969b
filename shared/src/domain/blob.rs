//! A body that is too large for the database: its name in the blob store, and what is known of it.

use std::fmt::{self, Write};
use std::str::FromStr;

use bytes::Bytes;
use uuid::Uuid;

use super::ids::JobId;
use super::payload::Payload;

/// Which of a job's bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobPart {
    /// What came in.
    Input,
    /// What an attempt made.
    Output,
}

impl BlobPart {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// The name of a blob: whose it is, and who wrote it. It is written `DAY/JOB/input-TOKEN`, `DAY/JOB/output-TOKEN` or
/// `DAY/JOB/output-TOKEN-UPLOAD`, where the day is that in the job's id, so that what is old can be found by name.
///
/// The token of an output is that of the attempt's fence. So two attempts never write the same blob, and whether an
/// output can still become the recorded one is for the fence to say. An attempt that ends over HTTP may be ended by two
/// requests at once, so each of these uploads has a name of its own too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobName {
    /// The job.
    pub job: JobId,
    /// Which of its bodies.
    pub part: BlobPart,
    /// Of an output: the token of the attempt's fence. Of an input: drawn for the upload.
    pub token: Uuid,
    /// Of an output that came over HTTP: drawn for the upload.
    pub upload: Option<Uuid>,
}

/// Not a blob's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a blob: DAY/JOB/input-TOKEN or DAY/JOB/output-TOKEN, with -UPLOAD behind it or without")]
pub struct InvalidBlobName;

impl BlobName {
    /// The day in the names of a job's blobs.
    pub fn day_of(job: JobId) -> String {
        job.created_at().date().to_string()
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, part, token, upload } = self;
        write!(f, "{}/{job}/{}-{}", Self::day_of(*job), part.as_str(), token.simple())?;
        upload.map_or(Ok(()), |upload| write!(f, "-{}", upload.simple()))
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(text: &str) -> Result<Self, InvalidBlobName> {
        let mut parts = text.split('/');
        let (Some(_), Some(job), Some(file), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidBlobName);
        };
        let (part, token) = file.split_once('-').ok_or(InvalidBlobName)?;
        let part = match part {
            "input" => BlobPart::Input,
            "output" => BlobPart::Output,
            _ => return Err(InvalidBlobName),
        };
        let (token, upload) = token.split_once('-').map_or((token, None), |(token, upload)| (token, Some(upload)));
        let job = job.parse().map_err(|_| InvalidBlobName)?;
        let uuid = |text| Uuid::try_parse(text).map_err(|_| InvalidBlobName);
        let name = Self { job, part, token: uuid(token)?, upload: upload.map(uuid).transpose()? };
        // One blob, one name: nothing that only looks like it.
        if name.to_string() == text { Ok(name) } else { Err(InvalidBlobName) }
    }
}

/// A blob that was written whole. As text, in a cell of the database: size, SHA-256 in hexadecimal, name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Where it is.
    pub name: BlobName,
    /// Bytes in all.
    pub size: u64,
    /// SHA-256 of the bytes, counted on their way.
    pub digest: [u8; 32],
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.size)?;
        for byte in self.digest {
            write!(f, "{byte:02x}")?;
        }
        f.write_char(' ')?;
        self.name.fmt(f)
    }
}

/// Not a blob as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a blob: SIZE SHA-256 NAME")]
pub struct InvalidBlob;

impl FromStr for Blob {
    type Err = InvalidBlob;

    fn from_str(text: &str) -> Result<Self, InvalidBlob> {
        let mut words = text.split(' ');
        let (Some(size), Some(hex), Some(name), None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(InvalidBlob);
        };
        let mut digest = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(InvalidBlob);
        }
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| InvalidBlob)?;
        }
        let size = size.parse().map_err(|_| InvalidBlob)?;
        Ok(Self { name: name.parse().map_err(|_| InvalidBlob)?, size, digest })
    }
}

/// Where the bytes of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Here, and in the job's row.
    Inline(Bytes),
    /// In the blob store; the row only names it.
    Blob(Blob),
}

impl Body {
    /// Bytes in all.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob(blob) => blob.size,
        }
    }

    /// The bytes that are here.
    pub fn inline(&self) -> Option<&Bytes> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::Blob(_) => None,
        }
    }

    /// The blob, if it is one.
    pub fn blob(&self) -> Option<&Blob> {
        match self {
            Self::Inline(_) => None,
            Self::Blob(blob) => Some(blob),
        }
    }

    /// Bytes that it takes in memory and in a statement.
    pub fn weight(&self) -> usize {
        self.inline().map_or(0, Bytes::len)
    }
}

/// An input or a result, wherever its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// A media type.
    pub content_type: String,
    /// The bytes, or where they are.
    pub body: Body,
}

impl From<Payload> for Content {
    fn from(payload: Payload) -> Self {
        Self { content_type: payload.content_type, body: Body::Inline(payload.bytes) }
    }
}

/// What a job's row says of its blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobOwner {
    /// The job.
    pub job: JobId,
    /// The token of the attempt that runs now.
    pub running: Option<Uuid>,
    /// The input that the row names.
    pub input: Option<BlobName>,
    /// The output that the row names.
    pub output: Option<BlobName>,
}

impl BlobOwner {
    /// Whether the row names a blob, or still may. An input is named from the start or never. An output can be recorded
    /// only with the token of the attempt that runs, and no token comes back once it was taken away.
    pub fn needs(&self, blob: &BlobName) -> bool {
        let named = [self.input, self.output].contains(&Some(*blob));
        named || (blob.part == BlobPart::Output && self.running == Some(blob.token))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lifecycle::IdSource;

    #[test]
    fn a_blob_and_its_name_are_read_back_as_they_were_written() {
        for part in [BlobPart::Input, BlobPart::Output] {
            let name = BlobName { job: IdSource.job(), part, token: IdSource.random(), upload: None };
            assert_eq!(name.to_string().parse(), Ok(name));
            let name = BlobName { upload: Some(IdSource.random()), ..name };
            assert_eq!(name.to_string().parse(), Ok(name));
            let blob = Blob { name, size: u64::MAX, digest: [0xa7; 32] };
            assert_eq!(blob.to_string().parse(), Ok(blob));
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        let name =
            BlobName { job: IdSource.job(), part: BlobPart::Input, token: IdSource.random(), upload: None }.to_string();
        let other_day = format!("1999{}", &name[4..]);
        for bad in [
            "",
            "a/b/c",
            &name.to_uppercase(),
            &format!("{name}#1"),
            &format!("{name}/x"),
            &format!("{name}-"),
            &other_day,
        ] {
            assert_eq!(bad.parse::<BlobName>(), Err(InvalidBlobName), "{bad}");
        }
    }

    #[test]
    fn a_row_needs_what_it_names_and_what_its_running_attempt_may_make() {
        let name = |part| BlobName { job: IdSource.job(), part, token: IdSource.random(), upload: None };
        let (input, output) = (name(BlobPart::Input), name(BlobPart::Output));
        let nothing = BlobOwner { job: input.job, running: None, input: None, output: None };
        assert!(!nothing.needs(&input) && !nothing.needs(&output));
        assert!(BlobOwner { input: Some(input), ..nothing }.needs(&input));
        assert!(BlobOwner { output: Some(output), ..nothing }.needs(&output));
        assert!(BlobOwner { running: Some(output.token), ..nothing }.needs(&output), "it may be recorded in a moment");
        let uploaded = BlobName { upload: Some(IdSource.random()), ..output };
        assert!(BlobOwner { running: Some(output.token), ..nothing }.needs(&uploaded), "and so may this");
        assert!(!BlobOwner { output: Some(output), ..nothing }.needs(&uploaded), "another upload was recorded");
        assert!(
            !BlobOwner { running: Some(name(BlobPart::Output).token), ..nothing }.needs(&output),
            "a stale attempt's"
        );
        assert!(!BlobOwner { running: Some(input.token), ..nothing }.needs(&input), "no attempt makes an input");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~]{0,200}|[0-9]{1,3} [0-9a-fé]{60,66} [a-z/-]{0,80}") {
            let _ = text.parse::<Blob>();
            let _ = text.parse::<BlobName>();
        }
    }
}
