//! Signed webhooks (T-14, T-26), as Standard Webhooks has them.
//!
//! Only the configured endpoint is called, redirects are not followed, and of the answer no more is read than is worth
//! telling of.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::json;
use sha2::Sha256;

use super::{MAX_ERROR, Parcel, foreign_words, mail};
use crate::domain::{Attempted, DeliveryContent};

/// So much of an answer that says no is read, in bytes.
const MOST_READ: usize = 2_048;

/// An endpoint, and the keys by which it knows us.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    keys: Vec<Vec<u8>>,
    timeout: Duration,
}

impl Webhook {
    pub(super) fn new(url: Url, keys: Vec<Vec<u8>>, timeout: Duration) -> Result<Self, String> {
        mail::install_cryptography();
        // How long an attempt may take as a whole is seen to by whoever makes it.
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // The endpoint, and nobody whom the environment puts between.
            .no_proxy()
            .user_agent("kefu")
            .build()
            .map_err(|_| "the client cannot be built".to_owned())?;
        Ok(Self { client, url, keys, timeout })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn send(&self, parcel: &Parcel, to: &[String]) -> Attempted {
        let body = body(parcel, to);
        let id = parcel.id.to_string();
        let timestamp = parcel.now.as_second().to_string();
        let signatures: Option<Vec<String>> =
            self.keys.iter().map(|key| signature(key, &id, &timestamp, &body)).collect();
        let Some(signatures) = signatures else {
            return Attempted::Refused { error: "the key cannot sign".to_owned() };
        };
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body);
        match request.send().await {
            // Whatever else it says is not looked at.
            Ok(response) if response.status().is_success() => {
                Attempted::Taken { provider_id: None }
            }
            Ok(response) => refused(response).await,
            // Without the URL, which may hold a key.
            Err(error) => {
                let told = chain(&error.without_url());
                Attempted::Failed { error: foreign_words(&told, MAX_ERROR), after: None }
            }
        }
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over id, time and body.
fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The same in every attempt. An event is JSON already.
fn body(parcel: &Parcel, to: &[String]) -> String {
    let kind = match parcel.content {
        DeliveryContent::Event => return parcel.body.clone(),
        DeliveryContent::Message => "ticket.message",
        DeliveryContent::Notice => "ticket.notice",
    };
    json!({
        "type": kind,
        "timestamp": parcel.created_at.to_string(),
        "data": {
            "delivery": format!("deliveries/{}", parcel.id),
            "ticket": parcel.ticket,
            "number": parcel.ticket_number,
            "recipients": to,
            "subject": parcel.subject,
            "text": parcel.body,
        },
    })
    .to_string()
}

async fn refused(mut response: Response) -> Attempted {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut read = Vec::new();
    while read.len() < MOST_READ {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        let room = MOST_READ - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    let said = String::from_utf8_lossy(&read);
    let error = foreign_words(&format!("{status}: {said}"), MAX_ERROR);
    let error = error.trim_end_matches(':').to_owned();
    if status == StatusCode::GONE {
        // "Do not come back."
        return Attempted::Refused { error };
    }
    Attempted::Failed { error, after: after.map(Duration::from_secs) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t26_the_signature_is_that_of_standard_webhooks() {
        // The example of the specification.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signature(&key, id, "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
