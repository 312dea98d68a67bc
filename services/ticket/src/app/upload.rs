//! Uploads (T-01): bytes come, are stored and hashed as they come, are judged when all are there, and only then belong to the
//! ticket.
//!
//! Three steps, with no connection held in the second: an intent on record and whoever uploads permitted; the bytes; one
//! transaction with the attachment, in which the intent goes. What breaks off before that leaves the intent, by which the
//! sweeper finds what is left in the object store.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use kefu_api::ticket::v1 as pb;
use kefu_journal::requests::{self, Claim, fingerprint};
use kefu_policy::Version;
use tonic::Status;
use uuid::Uuid;

use super::attachment::{change, org_unit};
use super::ticket::not_found;
use super::upload_receive::{Expected, Seen, receive};
use super::{App, Call, Error};
use crate::domain::{
    Attachment, Content, Directory, FileFault, FileRules, MAX_TAIL, Policy, directory, inspect,
    is_archive, judge,
};
use crate::encode::attachment as encode;
use crate::files::FilesError;
use crate::store;
use crate::store::attachment::Sum;

pub(crate) use super::upload_receive::PATIENCE;

pub(crate) const METHOD: &str = "kefu.ticket.v1.AttachmentService/UploadAttachment";
const ACTION: &str = "ticket.UploadAttachment";
/// How long an upload may take.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Whatever is this old has broken off: longer than an upload and the transaction after it can take.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
/// Uploads that are given up in one go.
const SWEEP: i64 = 100;

/// What is to be attached.
#[derive(Clone, Debug)]
pub(crate) struct NewUpload {
    pub(crate) ticket: Uuid,
    pub(crate) file_name: String,
    /// Empty where nothing is declared.
    pub(crate) declared: String,
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<[u8; 32]>,
    /// The header as it came, but for the request id.
    pub(crate) header: pb::UploadAttachmentHeader,
}

/// An upload that may begin.
struct Begun {
    id: Uuid,
    key: String,
    version: Arc<Version<Policy>>,
}

impl Begun {
    fn rules(&self) -> &FileRules {
        &self.version.policy.content().files
    }
}

/// What is to become of what came.
enum Judged {
    /// It is this.
    Good(String),
    /// It is not taken.
    Bad(FileFault),
}

impl App {
    /// Attaches a file to a ticket.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::FileRefused`], which is on record, [`Error::NoRoom`],
    /// [`Error::BrokenOff`], [`Error::Files`], [`Error::RequestIdReused`].
    pub(crate) async fn upload_attachment(
        &self,
        mut call: Call,
        new: NewUpload,
        chunks: impl Stream<Item = Result<Vec<u8>, Status>> + Send + Unpin,
    ) -> Result<pb::Attachment, Error> {
        let _place = self.files.upload_place(call.caller.subject(), new.size)?;
        let begun = self.begin_upload(&call, &new).await?;
        let mut seen = Seen::default();
        let received = self.receive(&begun, &new, &mut seen, chunks);
        let received = tokio::time::timeout(LONGEST, received).await;
        let judged =
            received.unwrap_or_else(|_| Err(Error::BrokenOff(kefu_rpc::deadline_exceeded())));
        let outcome = match judged {
            Ok(Judged::Good(media_type)) => {
                let canonical = pb::UploadAttachmentHeader {
                    size_bytes: i64::try_from(seen.size).unwrap_or(i64::MAX),
                    sha256: seen.sha256.as_ref().map(|hash| encode::hex(hash)).unwrap_or_default(),
                    ..new.header.clone()
                };
                if let Some(request) = &mut call.request {
                    // Over the bytes as well: what they are is known only now.
                    request.fingerprint = fingerprint(METHOD, &canonical);
                }
                self.attach(&call, &begun, &new, &seen, media_type).await
            }
            Ok(Judged::Bad(fault)) => {
                self.abandon(&begun).await;
                self.record_refusal(&call, &new, &seen, &fault).await?;
                return Err(Error::FileRefused(fault));
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok((answer, true)) => Ok(answer),
            // Done before: what came now is one copy too many.
            Ok((answer, false)) => {
                self.abandon(&begun).await;
                Ok(answer)
            }
            // Whether it was committed is not known; the intent tells the sweeper.
            Err(Error::Store(error)) => Err(Error::Store(error)),
            Err(error) => {
                self.abandon(&begun).await;
                Err(error)
            }
        }
    }

    /// Who may not upload is told so before a byte of the file is taken, and so is whoever wants more than the ticket can take.
    async fn begin_upload(&self, call: &Call, new: &NewUpload) -> Result<Begun, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, new.ticket).await?;
        let row = row.ok_or_else(|| not_found(new.ticket))?;
        let seen_before = match call.key() {
            // Not the same content, as far as is known by now; but the id was used.
            Some(key) => requests::lookup(&mut conn, &key).await? != Claim::New,
            None => false,
        };
        let (ticket, version) = self.judged(&mut conn, row).await?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &ticket.org_unit)
            && !seen_before
        {
            return Err(denied);
        }
        let rules = &version.policy.content().files;
        if let Some(size) = new.size
            && size > rules.max_file
        {
            return Err(Error::FileRefused(FileFault::TooLong { most: rules.max_file }));
        }
        if !seen_before {
            let sum = store::attachment::sum(&mut conn, new.ticket).await?;
            has_room(rules, sum, new.size.unwrap_or_default())?;
        }
        let id = self.ids.uuid();
        let key = format!("attachments/{}/{id}", self.now().strftime("%Y/%m/%d"));
        store::attachment::begin_upload(&mut conn, id, &key).await?;
        Ok(Begun { id, key, version })
    }

    /// Stores what comes and judges it.
    async fn receive(
        &self,
        begun: &Begun,
        new: &NewUpload,
        seen: &mut Seen,
        chunks: impl Stream<Item = Result<Vec<u8>, Status>> + Send + Unpin,
    ) -> Result<Judged, Error> {
        let sink = self.files.write(&begun.key).await?;
        let most = begun.rules().max_file;
        let expected = Expected { most, size: new.size, sha256: new.sha256 };
        match receive(sink, expected, seen, chunks).await? {
            Some(fault) => Ok(Judged::Bad(fault)),
            None => self.judge(begun, new, seen).await,
        }
    }

    async fn judge(&self, begun: &Begun, new: &NewUpload, seen: &Seen) -> Result<Judged, Error> {
        let tail = self.files.range(&begun.key, seen.size.saturating_sub(MAX_TAIL), seen.size);
        let tail = tail.await?;
        let found = directory(&tail, seen.size);
        let archive = match (is_archive(&seen.head), found) {
            (false, Ok(None)) => None,
            (false, _) => return Ok(Judged::Bad(FileFault::TwoFaced)),
            (true, Ok(Some(directory))) => {
                let Directory { offset, size, .. } = directory;
                let table = match size {
                    0 => bytes::Bytes::new(),
                    _ => self.files.range(&begun.key, offset, offset + size).await?,
                };
                match inspect(&table, directory, begun.rules().archive) {
                    Ok(archive) => Some(archive),
                    Err(fault) => return Ok(Judged::Bad(FileFault::Archive(fault))),
                }
            }
            (true, found) => {
                let none = crate::domain::ArchiveFault::Broken("there is none");
                let fault = found.err().unwrap_or(none);
                return Ok(Judged::Bad(FileFault::Archive(fault)));
            }
        };
        let content = Content {
            head: &seen.head,
            text: seen.text.is_text(),
            archive: archive.as_ref().map(|archive| archive.media_type),
        };
        let judged = judge(content, &new.file_name, &new.declared)
            .and_then(|actual| begun.rules().takes(&actual).map(|()| actual));
        Ok(judged.map_or_else(Judged::Bad, Judged::Good))
    }

    /// Puts the attachment on record under the ticket's lock; false if this is a retry of what was done before.
    async fn attach(
        &self,
        call: &Call,
        begun: &Begun,
        new: &NewUpload,
        seen: &Seen,
        media_type: String,
    ) -> Result<(pb::Attachment, bool), Error> {
        let mut work = self.begin(call).await?;
        let place = store::handling::lock(work.conn(), new.ticket).await?;
        let place = place.ok_or_else(|| not_found(new.ticket))?;
        // It may have gone to another org unit while the bytes came.
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &place.org_unit) {
            let answer = work.answered().await?.ok_or(denied)?;
            return Ok((answer, false));
        }
        if let Some(answer) = work.replay().await? {
            return Ok((answer, false));
        }
        if !store::attachment::end_upload(work.conn(), begun.id).await? {
            return Err(Error::Conflict);
        }
        let sum = store::attachment::sum(work.conn(), new.ticket).await?;
        has_room(begun.rules(), sum, seen.size)?;
        let attachment = Attachment {
            media_type,
            object_key: Some(begun.key.clone()),
            customer: store::attachment::customer(work.conn(), new.ticket).await?,
            ..self.described(begun.id, call, new, seen, work.now())
        };
        store::attachment::insert(work.conn(), &attachment).await?;
        let org_unit = org_unit(&place.org_unit)?;
        work.record(vec![change("UploadAttachment", &org_unit, None, &attachment)?]).await?;
        let answer = work.commit(encode::resource(&attachment)).await?;
        Ok((answer, true))
    }

    /// Puts on record that a file was refused.
    async fn record_refusal(
        &self,
        call: &Call,
        new: &NewUpload,
        seen: &Seen,
        fault: &FileFault,
    ) -> Result<(), Error> {
        let mut work = self.begin(call).await?;
        let place = store::handling::lock(work.conn(), new.ticket).await?;
        let place = place.ok_or_else(|| not_found(new.ticket))?;
        // Whoever may not upload any more leaves nothing on record here either.
        self.allow_at(&call.caller, ACTION, &place.org_unit)?;
        let attachment = Attachment {
            refusal: Some(format!("{}: {}", fault.reason(), fault.words().0)),
            customer: store::attachment::customer(work.conn(), new.ticket).await?,
            ..self.described(self.ids.uuid(), call, new, seen, work.now())
        };
        store::attachment::insert(work.conn(), &attachment).await?;
        let org_unit = org_unit(&place.org_unit)?;
        work.record(vec![change("RefuseAttachment", &org_unit, None, &attachment)?]).await?;
        work.commit_remembering(&[]).await
    }

    fn described(
        &self,
        id: Uuid,
        call: &Call,
        new: &NewUpload,
        seen: &Seen,
        now: jiff::Timestamp,
    ) -> Attachment {
        Attachment {
            id,
            ticket: new.ticket,
            customer: None,
            file_name: new.file_name.clone(),
            media_type: String::new(),
            declared_type: new.declared.clone(),
            size: seen.size,
            sha256: seen.sha256,
            object_key: None,
            refusal: None,
            uploaded_by: call.caller.subject().into(),
            created_at: now,
            withdrawn: None,
            revision: 1,
        }
    }

    /// Deletes what was stored of an upload that came to nothing. What fails here is the sweeper's.
    async fn abandon(&self, begun: &Begun) {
        if let Err(error) = self.clear(begun.id, &begun.key).await {
            tracing::debug!(%error, "an upload that came to nothing could not be cleared away");
        }
    }

    async fn clear(&self, id: Uuid, key: &str) -> Result<(), Error> {
        self.files.delete(key).await?;
        Ok(store::attachment::forget_upload(&self.pool, id).await?)
    }

    /// Clears away what uploads have left that broke off, the oldest first; returns whether there may be more.
    ///
    /// # Errors
    /// When the database or the object store is away; what was not cleared away is found again.
    pub(crate) async fn sweep_uploads(&self) -> Result<bool, Error> {
        let given_up = store::attachment::give_up(&self.pool, GIVEN_UP_AFTER, SWEEP).await?;
        let full = i64::try_from(given_up.len()).is_ok_and(|found| found == SWEEP);
        let mut failed = None;
        for (id, key) in given_up {
            match self.clear(id, &key).await {
                Ok(()) => {}
                // A store that is not configured any more keeps what it has.
                Err(Error::Files(FilesError::None)) => return Ok(false),
                // One that cannot be deleted keeps none of the others.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(full), Err)
    }
}

fn has_room(rules: &FileRules, sum: Sum, size: u64) -> Result<(), Error> {
    if sum.files >= rules.max_files {
        return Err(Error::NoRoom("ATTACHMENT_COUNT", rules.max_files));
    }
    if sum.bytes.saturating_add(size) > rules.max_ticket {
        return Err(Error::NoRoom("ATTACHMENT_BYTES", rules.max_ticket));
    }
    Ok(())
}
