//! Writing one file in parts, of which two are in memory at most.

use object_store::{MultipartUpload, WriteMultipart};

use super::FilesError;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: WriteMultipart,
}

impl Sink {
    pub(super) fn new(upload: Box<dyn MultipartUpload>) -> Self {
        // Parts of 5 MiB, the smallest that S3 takes.
        Self { writer: WriteMultipart::new(upload) }
    }

    /// Takes the next bytes, as soon as no part is on its way any more: so whoever sends faster than the store writes waits.
    /// Copied, so that a million crumbs take no more memory than their bytes.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.writer.wait_for_capacity(1).await?;
        self.writer.write(bytes);
        Ok(())
    }

    /// Writes the rest; now it stands under its key.
    pub(crate) async fn finish(self) -> Result<(), FilesError> {
        self.writer.finish().await?;
        Ok(())
    }

    /// Gives up. What cannot be deleted now is swept later.
    pub(crate) async fn abort(self) {
        if let Err(error) = self.writer.abort().await {
            tracing::debug!(%error, "a file that was given up could not be deleted");
        }
    }
}
