//! A result as it comes. One that is cut is gone on with where it was cut; whether all is right, its digest says at the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use ring::digest::{Context, SHA256};

use crate::client::{Client, Trying};
use crate::error::Error;
use crate::fault::Fault;
use crate::request::{OpenAnswer, Request};
use crate::result::sha256_in;

/// What an answer that is none of a result is read as far as, in bytes.
const LARGEST_PAGE: usize = 1 << 20;

/// The pieces of one result. Made by [`JobHandle::download`](crate::JobHandle::download).
pub struct Pieces {
    client: Client,
    id: String,
    path: String,
    open: Option<OpenAnswer>,
    /// Of the bytes that come next so many were given out already.
    again: u64,
    given: u64,
    hashed: Context,
    digest: Option<String>,
    etag: Option<String>,
    content_type: Option<String>,
    trying: Option<Trying>,
    over: bool,
    verified: bool,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pieces({}, {} bytes)", self.path, self.given)
    }
}

impl Pieces {
    pub(crate) fn new(client: Client, id: String, path: String) -> Self {
        Self {
            client,
            id,
            path,
            open: None,
            again: 0,
            given: 0,
            hashed: Context::new(&SHA256),
            digest: None,
            etag: None,
            content_type: None,
            trying: None,
            over: false,
            verified: false,
        }
    }

    /// What the result is; known from the first piece on.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Whether all came and met the SHA-256 that it came with. False until the end.
    pub fn verified(&self) -> bool {
        self.verified
    }

    /// The next piece; `None` when all has come and meets its digest, and after an error. With
    /// [`ErrorKind::ResultDamaged`](crate::ErrorKind::ResultDamaged) at the end all pieces are worth nothing.
    ///
    /// The retry budget is for the time without a byte, and begins anew with each piece.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        while !self.over {
            match self.piece().await {
                Ok(Some(bytes)) => {
                    self.trying = None;
                    self.given += bytes.len() as u64;
                    self.hashed.update(&bytes);
                    return Some(Ok(bytes));
                }
                Ok(None) => {
                    self.over = true;
                    let came = STANDARD.encode(self.hashed.clone().finish());
                    if self.digest.as_ref().is_some_and(|said| *said != came) {
                        return Some(Err(Error::from(Fault::Damaged).about_job(&self.id)));
                    }
                    self.verified = self.digest.is_some();
                }
                Err(fault) => {
                    self.open = None;
                    let trying = self.trying.get_or_insert_with(|| self.client.trying());
                    if let Err(error) = self.client.try_again(trying, fault, None).await {
                        self.over = true;
                        return Some(Err(error.about_job(&self.id)));
                    }
                }
            }
        }
        None
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.open.is_none() {
            self.open = Some(self.ask().await?);
        }
        let silence = self.client.settings().request_timeout;
        let Some(open) = &mut self.open else { return Ok(None) };
        loop {
            let Some(mut bytes) = open.next(silence).await? else {
                // Shorter than what was there before: not this one's end.
                return if self.again > 0 { Err(Fault::Damaged) } else { Ok(None) };
            };
            let known = bytes.len().min(usize::try_from(self.again).unwrap_or(usize::MAX));
            self.again -= known as u64;
            bytes.advance(known);
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    async fn ask(&mut self) -> Result<OpenAnswer, Fault> {
        let mut request = Request::get(&self.path).header("accept", "*/*");
        if let Some(etag) = self.etag.as_ref().filter(|_| self.given > 0) {
            request = request.header("range", format!("bytes={}-", self.given)).header("if-range", etag);
        }
        let patience = self.client.settings().request_timeout;
        let answer = self.client.transport().open(&request, patience).await?;
        let from = format!("bytes {}-", self.given);
        let here = answer.header("content-range").is_some_and(|range| range.starts_with(&from));
        if !matches!(answer.status, 200 | 206) || answer.status == 206 && !here {
            return Err(Fault::of(answer.all(LARGEST_PAGE, patience).await?)?.garbled());
        }
        // Who knows nothing of ranges sends all of it once more.
        self.again = if answer.status == 206 { 0 } else { self.given };
        if self.given == 0 {
            let text = |name: &str| answer.header(name).map(str::to_owned);
            self.digest = answer.header("content-digest").and_then(sha256_in).map(str::to_owned);
            // A weak one says nothing of bytes.
            self.etag = text("etag").filter(|etag| !etag.starts_with("W/"));
            self.content_type = text("content-type");
        }
        Ok(answer)
    }
}
