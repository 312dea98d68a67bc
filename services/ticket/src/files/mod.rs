//! Where the bytes of attachments are (T-01): a local directory, or a store that speaks S3.
//!
//! Which one is the operator's setting. Keys are made here of the attachment's random id, are nobody's input and reach nobody.

mod places;
mod sink;

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientConfigKey, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, RetryConfig,
};

use self::places::Places;
pub(crate) use self::{places::Place, sink::Sink};

/// What uploads hold of their files in memory at once in one process, in MiB.
const MEMORY: usize = 96;
/// What the uploads of one person hold of it: three of long files, or many of short ones.
const MEMORY_OF_ONE: u32 = 32;
/// What one holds at most, in MiB: a part that is being written and one that is coming.
const TWO_PARTS: u64 = 10;
/// Downloads at once in one process.
const MAX_DOWNLOADS: usize = 64;
/// Downloads of one person at once in one process.
const MAX_DOWNLOADS_OF_ONE: u32 = 8;
/// How long a store may be tried again before it is said that it does not answer.
const RETRY_TIME: Duration = Duration::from_secs(20);
/// How long a store may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest that anybody may read one file.
pub(crate) const LONGEST_READ: Duration = Duration::from_secs(30 * 60);
/// How long one request may take, to the last byte of its answer: what is read longer ends before. The library would give it no
/// more than half a minute.
const REQUEST_TIME: Duration = Duration::from_secs(2 * LONGEST_READ.as_secs());

/// The object store.
#[derive(Clone)]
pub struct Files {
    store: Option<Arc<dyn ObjectStore>>,
    prefix: Path,
    /// The directory, where it is one.
    local: Option<PathBuf>,
    uploads: Places,
    downloads: Places,
}

impl fmt::Debug for Files {
    /// Leaves out where it is and by which keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.local.is_some() { "directory" } else { "store" })
    }
}

/// Why the object store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is none.
    #[error("no object store is configured")]
    None,
    /// As many as it takes are under way, of all or of one person.
    #[error("too many files are on their way")]
    Busy,
    /// It does not answer, or says no.
    #[error("the object store: {0}")]
    Store(#[from] object_store::Error),
}

impl Files {
    /// The store of a setting: `s3://bucket/prefix`, with keys and the like in the usual `AWS_` variables, or a directory.
    /// Without a setting there is none, and no file is taken. Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with the setting.
    pub fn open(setting: Option<&str>) -> anyhow::Result<Self> {
        let Some(setting) = setting.map(str::trim).filter(|setting| !setting.is_empty()) else {
            return Ok(Self::of(None, Path::default(), None));
        };
        if let Some(place) = setting.strip_prefix("s3://") {
            let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
            anyhow::ensure!(!bucket.is_empty(), "names no bucket");
            let prefix = Path::parse(prefix.trim_end_matches('/')).context("the prefix")?;
            let store = patient(AmazonS3Builder::from_env().with_bucket_name(bucket));
            return Self::s3(store, prefix);
        }
        let directory = FilePath::new(setting.strip_prefix("file://").unwrap_or(setting));
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let directory = directory.canonicalize()?;
        // On the disk before it is said to be there.
        let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self::of(Some(Arc::new(store)), Path::default(), Some(directory)))
    }

    fn s3(store: AmazonS3Builder, prefix: Path) -> anyhow::Result<Self> {
        // Fails only where somebody else has done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self::of(Some(Arc::new(store.build()?)), prefix, None))
    }

    fn of(store: Option<Arc<dyn ObjectStore>>, prefix: Path, local: Option<PathBuf>) -> Self {
        let uploads = Places::new(MEMORY, MEMORY_OF_ONE);
        let downloads = Places::new(MAX_DOWNLOADS, MAX_DOWNLOADS_OF_ONE);
        Self { store, prefix, local, uploads, downloads }
    }

    fn store(&self) -> Result<&Arc<dyn ObjectStore>, FilesError> {
        self.store.as_ref().ok_or(FilesError::None)
    }

    fn place(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// A place for somebody among the uploads at once, by how long the file is, as far as that is known; more than that is
    /// not taken.
    pub(crate) fn upload_place(&self, who: &str, size: Option<u64>) -> Result<Place, FilesError> {
        self.store()?;
        let known = size.map(|size| (size / (1024 * 1024)).saturating_add(1));
        let share = known.unwrap_or(TWO_PARTS).min(TWO_PARTS);
        let share = u32::try_from(share).unwrap_or_default();
        self.uploads.take(who, share).ok_or(FilesError::Busy)
    }

    /// Begins to write what is to stand under a key. It stands there when it is whole and not before.
    pub(crate) async fn write(&self, key: &str) -> Result<Sink, FilesError> {
        let upload = self.store()?.put_multipart(&self.place(key)).await?;
        Ok(Sink::new(upload))
    }

    /// Some bytes of what stands under a key.
    pub(crate) async fn range(&self, key: &str, from: u64, to: u64) -> Result<Bytes, FilesError> {
        Ok(self.store()?.get_range(&self.place(key), from..to).await?)
    }

    /// What stands under a key, from an offset on, as it is asked for; with somebody's place among the downloads at once.
    pub(crate) async fn read(
        &self,
        who: &str,
        key: &str,
        from: u64,
    ) -> Result<(BoxStream<'static, object_store::Result<Bytes>>, Place), FilesError> {
        let place = self.downloads.take(who, 1).ok_or(FilesError::Busy)?;
        let range = (from > 0).then_some(GetRange::Offset(from));
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store()?.get_opts(&self.place(key), options).await?;
        Ok((found.into_stream(), place))
    }

    /// Deletes what stands under a key, and what a crash has left of writing it; nothing is there afterwards, whatever was
    /// before.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), FilesError> {
        let place = self.place(key);
        if let Some(directory) = &self.local {
            // As it is called while it is written; the first of its name, because the key is one upload's alone.
            let unfinished = directory.join(format!("{place}#1"));
            match tokio::fs::remove_file(unfinished).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let error =
                        object_store::Error::Generic { store: "directory", source: error.into() };
                    return Err(error.into());
                }
                _ => {}
            }
        }
        match self.store()?.delete(&place).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is slow has time, and what is silent has not. Beside it the operator's settings stay as they are.
fn patient(store: AmazonS3Builder) -> AmazonS3Builder {
    let time = |time: Duration| format!("{}s", time.as_secs());
    let retry = RetryConfig { retry_timeout: RETRY_TIME, ..RetryConfig::default() };
    store
        .with_retry(retry)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), time(REQUEST_TIME))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ReadTimeout), time(SILENCE))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A store that speaks S3 and gives these answers, each on a connection of its own; what it was asked for.
    async fn bucket<const N: usize>(
        answers: [&'static str; N],
    ) -> (Files, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut caller, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(caller.read_u8().await.unwrap());
                }
                asked.push(String::from_utf8(request).unwrap().to_lowercase());
                caller.write_all(answer.as_bytes()).await.unwrap();
                caller.shutdown().await.unwrap();
            }
            asked
        });
        let store = AmazonS3Builder::new().with_bucket_name("kefu").with_endpoint(endpoint);
        let store = store.with_allow_http(true).with_region("cn-north-1");
        let store = store.with_access_key_id("id").with_secret_access_key("secret");
        (Files::s3(patient(store), Path::parse("riverside").unwrap()).unwrap(), asked)
    }

    async fn read(files: &Files, from: u64) -> Result<Vec<u8>, FilesError> {
        let (bytes, _place) = files.read("li", "2026/a", from).await?;
        Ok(bytes.try_collect::<Vec<_>>().await?.concat())
    }

    #[tokio::test]
    async fn t01_a_store_that_speaks_s3_is_read_whole_also_where_it_breaks_off_on_the_way() {
        let (files, asked) = bucket([
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"1\"\r\nconnection: close\r\n\
             last-modified: Mon, 02 Mar 2026 02:00:00 GMT\r\n\r\nsome b",
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\netag: \"1\"\r\nconnection: close\r\n\
             content-range: bytes 6-9/10\r\nlast-modified: Mon, 02 Mar 2026 02:00:00 GMT\r\n\r\nytes",
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\netag: \"1\"\r\nconnection: close\r\n\
             content-range: bytes 5-9/10\r\nlast-modified: Mon, 02 Mar 2026 02:00:00 GMT\r\n\r\nbytes",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ])
        .await;
        assert_eq!(read(&files, 0).await.unwrap(), b"some bytes");
        assert_eq!(read(&files, 5).await.unwrap(), b"bytes");
        let gone = read(&files, 0).await.unwrap_err();
        assert!(matches!(gone, FilesError::Store(object_store::Error::NotFound { .. })), "{gone}");
        let asked = asked.await.unwrap();
        assert!(asked.iter().all(|asked| asked.starts_with("get /kefu/riverside/2026/a ")));
        let range = |asked: &String| {
            let line = asked.lines().find(|line| line.starts_with("range:"));
            line.map(|line| line["range:".len()..].trim().to_owned())
        };
        let ranges: Vec<_> = asked.iter().map(|asked| range(asked).unwrap_or_default()).collect();
        assert_eq!(ranges, ["", "bytes=6-9", "bytes=5-", ""]);
    }

    /// The library would end every download after half a minute, whatever came of it until then.
    #[test]
    fn t01_a_long_download_outlives_no_timeout_of_the_store() {
        let store = patient(AmazonS3Builder::new().with_allow_http(true));
        let of = |key| store.get_config_value(&AmazonS3ConfigKey::Client(key));
        assert_eq!(of(ClientConfigKey::Timeout).as_deref(), Some("3600s"));
        assert_eq!(of(ClientConfigKey::ReadTimeout).as_deref(), Some("30s"));
        assert_eq!(of(ClientConfigKey::AllowHttp).as_deref(), Some("true"), "the operator's");
    }

    async fn written(files: &Files, key: &str, parts: &[&[u8]]) {
        let mut sink = files.write(key).await.unwrap();
        for part in parts {
            sink.push(part).await.unwrap();
        }
        sink.finish().await.unwrap();
    }

    #[tokio::test]
    async fn t01_a_file_stands_in_the_directory_when_it_is_whole_and_not_before() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::open(home.path().join("附件").to_str()).unwrap();
        let mut half = files.write("2026/half").await.unwrap();
        half.push(b"half").await.unwrap();
        assert!(files.range("2026/half", 0, 1).await.is_err());
        half.abort().await;
        assert!(files.range("2026/half", 0, 1).await.is_err());
        written(&files, "2026/whole", &[b"some ", b"bytes"]).await;
        assert_eq!(files.range("2026/whole", 5, 10).await.unwrap(), "bytes");
        files.delete("2026/whole").await.unwrap();
        assert!(files.range("2026/whole", 0, 1).await.is_err());
        files.delete("2026/whole").await.unwrap();
    }

    #[tokio::test]
    async fn t01_what_a_crash_leaves_of_an_upload_is_deleted_with_it() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::open(home.path().to_str()).unwrap();
        let mut half = files.write("2026/half").await.unwrap();
        half.push(&vec![1; 6 * 1024 * 1024]).await.unwrap();
        // As if the process were gone: nothing is tidied up.
        std::mem::forget(half);
        let left = || std::fs::read_dir(home.path().join("2026")).unwrap().count();
        assert_eq!(left(), 1);
        files.delete("2026/half").await.unwrap();
        assert_eq!(left(), 0);
    }

    #[test]
    fn x08_uploads_at_once_are_bounded_by_what_they_hold_in_memory() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::open(home.path().to_str()).unwrap();
        let long = |who| files.upload_place(who, Some(1 << 40));
        let short = |who| files.upload_place(who, Some(5_000));
        let places: Vec<_> = (0..3).map(|_| long("li").unwrap()).collect();
        // Others have places when one person has no more.
        assert!(matches!(long("li"), Err(FilesError::Busy)));
        let others = ["an", "bo"].map(|who| (0..3).map(|_| long(who).unwrap()).collect::<Vec<_>>());
        assert!(matches!(long("zhao"), Err(FilesError::Busy)));
        let small: Vec<_> = (0..6).map(|_| short("zhao").unwrap()).collect();
        assert!(matches!(short("zhao"), Err(FilesError::Busy)));
        drop((places, small, others));
        drop(files.upload_place("li", None).unwrap());
    }

    #[test]
    fn x06_a_setting_that_names_nothing_is_refused() {
        assert!(Files::open(Some("s3://")).is_err());
        assert!(Files::open(Some("s3://bucket/../other")).is_err());
        assert!(matches!(
            Files::open(None).unwrap().upload_place("li", None),
            Err(FilesError::None)
        ));
        // Builds with the TLS that we have, and connects to nothing.
        let files = Files::open(Some("s3://kefu-attachments/riverside")).unwrap();
        assert_eq!(files.place("2026/a").as_ref(), "riverside/2026/a");
    }
}
