//! Fetching the keys of an identity provider in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::keys::{KeyError, KeyRing, KeySet, MAX_JWKS_BYTES};

/// How often the keys are fetched.
#[derive(Clone, Copy)]
struct Pace {
    /// How often when nothing asks for it.
    period: Duration,
    /// The least time between two fetches: unknown key ids, which anybody can make up, must not become a flood there.
    least_gap: Duration,
    /// The first wait after a failed fetch; doubles up to `least_gap`.
    first_retry: Duration,
}

const PACE: Pace = Pace {
    period: Duration::from_secs(300),
    least_gap: Duration::from_secs(10),
    first_retry: Duration::from_millis(250),
};

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the task that keeps the ring filled from a URL; it ends when the ring is dropped.
pub(super) fn spawn(ring: &Arc<KeyRing>, url: String) -> Result<(), KeyError> {
    spawn_at(ring, url, PACE)
}

fn spawn_at(ring: &Arc<KeyRing>, url: String, pace: Pace) -> Result<(), KeyError> {
    // reqwest is built without a cryptography provider of its own, so that the process has only one. A second
    // installation fails, which is fine: then there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    tokio::spawn(keep_filled(Arc::downgrade(ring), client, url, pace));
    Ok(())
}

async fn keep_filled(ring: Weak<KeyRing>, client: reqwest::Client, url: String, pace: Pace) {
    let mut retry = pace.first_retry;
    loop {
        let fetched = fetch(&client, &url).await;
        // The ring is held only between waits, so that dropping it elsewhere ends this task.
        let Some(wanted) = ring.upgrade().map(|ring| match fetched {
            Ok(keys) => {
                ring.replace(keys);
                Some(Arc::clone(&ring.wanted))
            }
            Err(error) => {
                tracing::warn!(%error, "the keys cannot be fetched, keeping the last known ones");
                None
            }
        }) else {
            return;
        };
        if let Some(wanted) = wanted {
            retry = pace.first_retry;
            tokio::time::sleep(pace.least_gap).await;
            // Either somebody asks or the period is over; both lead to a fetch.
            let _ = tokio::time::timeout(pace.period, wanted.notified()).await;
        } else {
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(pace.least_gap);
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<KeySet, KeyError> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        document.extend_from_slice(&chunk);
        if document.len() > MAX_JWKS_BYTES {
            return Err(KeyError::TooLarge);
        }
    }
    KeySet::parse(&String::from_utf8_lossy(&document))
}

#[cfg(test)]
mod tests {
    use kefu_clock::SystemClock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{KeySource, Minter};

    /// An identity provider: answers each request with the next of these, and is away when they end.
    async fn provider(mut answers: mpsc::Receiver<Option<String>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let status = if answer.is_some() { "200 OK" } else { "503 Service Unavailable" };
                let body = answer.unwrap_or_default();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    fn key() -> (String, String) {
        let jwks = Minter::generate("issuer", "kefu", Arc::new(SystemClock)).unwrap().jwks();
        let document: serde_json::Value = serde_json::from_str(&jwks).unwrap();
        (document["keys"][0]["kid"].as_str().unwrap().to_owned(), jwks)
    }

    async fn generation(ring: &KeyRing, wanted: u64) {
        loop {
            let loaded = ring.loaded.notified();
            if ring.current().generation >= wanted {
                return;
            }
            loaded.await;
        }
    }

    #[tokio::test]
    async fn g10_keys_that_are_rotated_behind_a_url_that_was_away_are_found() {
        let ((old, first), (new, second)) = (key(), key());
        let (answers, receiver) = mpsc::channel(8);
        let url = provider(receiver).await;
        let ring = Arc::new(KeyRing::new(&KeySource::Url(url.clone())).unwrap());
        let soon = Duration::from_millis(1);
        let pace = Pace { period: Duration::from_secs(3600), least_gap: soon, first_retry: soon };
        spawn_at(&ring, url, pace).unwrap();
        // Away at the start, then there with something that is no key set, then well.
        for answer in [None, Some("<html>".to_owned()), Some(first)] {
            answers.send(answer).await.unwrap();
        }
        generation(&ring, 1).await;
        assert!(ring.current().keys.select(Some(&old)).is_some());

        // A token with a key that nobody has seen asks for the new set; until it comes the old one counts.
        assert!(ring.current().keys.select(Some(&new)).is_none());
        ring.look_for_new_keys();
        answers.send(None).await.unwrap();
        answers.send(None).await.unwrap();
        assert!(ring.current().keys.select(Some(&old)).is_some());
        answers.send(Some(second)).await.unwrap();
        generation(&ring, 2).await;
        assert!(ring.current().keys.select(Some(&new)).is_some());
        assert!(ring.current().keys.select(Some(&old)).is_none(), "no longer believed");
    }
}
