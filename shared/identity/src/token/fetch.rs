//! Fetching the keys of an identity provider in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::keys::{KeyError, KeyRing, KeySet, MAX_JWKS_BYTES};

/// How often the keys are fetched when nothing asks for it.
const PERIOD: Duration = Duration::from_secs(300);

/// The least time between two fetches: unknown key ids, which anybody can make up, must not become a flood there.
const LEAST_GAP: Duration = Duration::from_secs(10);

/// The first wait after a failed fetch; doubles up to [`LEAST_GAP`].
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the task that keeps the ring filled from a URL; it ends when the ring is dropped.
pub(super) fn spawn(ring: &Arc<KeyRing>, url: String) -> Result<(), KeyError> {
    // reqwest is built without a cryptography provider of its own, so that the process has only one. A second
    // installation fails, which is fine: then there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    tokio::spawn(keep_filled(Arc::downgrade(ring), client, url));
    Ok(())
}

async fn keep_filled(ring: Weak<KeyRing>, client: reqwest::Client, url: String) {
    let mut retry = FIRST_RETRY;
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
            retry = FIRST_RETRY;
            tokio::time::sleep(LEAST_GAP).await;
            // Either somebody asks or the period is over; both lead to a fetch.
            let _ = tokio::time::timeout(PERIOD, wanted.notified()).await;
        } else {
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LEAST_GAP);
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
