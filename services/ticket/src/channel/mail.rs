//! Mail by SMTP (T-14).
//!
//! Headers are made of types that know no line break, so nothing that people typed can become a header or a recipient of
//! its own. The `Message-ID` is made of the delivery's id: the same in every attempt, so that a mailbox shows a mail once
//! although it was handed over twice.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as SmtpTls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Response};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::config::{SmtpConfig, Tls};
use super::{MAX_ERROR, MAX_PROVIDER_ID, Parcel, foreign_words};
use crate::domain::Attempted;

/// A mail server, and in whose name mails go out.
pub(super) struct Mail {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
}

impl Mail {
    pub(super) fn new(
        config: SmtpConfig,
        from: Mailbox,
        timeout: Duration,
    ) -> Result<Self, String> {
        install_cryptography();
        let parameters = || {
            let parameters = TlsParameters::new(config.host.clone());
            parameters.map_err(|_| "host must be a name that certificates are made for".to_owned())
        };
        let tls = match config.tls {
            Tls::Implicit => SmtpTls::Wrapper(parameters()?),
            Tls::Upgraded => SmtpTls::Required(parameters()?),
            Tls::None => SmtpTls::None,
        };
        let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            // How long an attempt may take as a whole is seen to by whoever makes it.
            .timeout(None);
        let server = match config.username.zip(config.password) {
            Some((name, password)) => server.credentials(Credentials::new(name, password)),
            None => server,
        };
        Ok(Self { server: server.build(), from, timeout })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn send(&self, parcel: &Parcel, to: &[String]) -> Attempted {
        let (envelope, mail) = match message(&self.from, parcel, to) {
            Ok(mail) => mail,
            Err(error) => return Attempted::Refused { error },
        };
        match self.server.send_raw(&envelope, &mail).await {
            Ok(response) => Attempted::Taken { provider_id: provider_id(&response) },
            Err(error) => failed(&error),
        }
    }
}

/// reqwest and lettre bring no cryptography of their own, so that the process has only one. A second installation fails,
/// which is fine: then there is one already.
pub(super) fn install_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The mail as it goes over the wire.
fn message(from: &Mailbox, parcel: &Parcel, to: &[String]) -> Result<(Envelope, Vec<u8>), String> {
    let to: Result<Vec<Address>, _> = to.iter().map(|to| to.parse()).collect();
    let to = to.map_err(|_| "a recipient is no mail address".to_owned())?;
    let unfit = |error: lettre::error::Error| foreign_words(&error.to_string(), MAX_ERROR);
    let id = format!("<{}@{}>", parcel.id, from.email.domain());
    // One line, whatever was typed.
    let subject = parcel.subject.split(char::is_control).collect::<Vec<_>>().join(" ");
    let mut mail = Message::builder().from(from.clone());
    for address in &to {
        mail = mail.to(Mailbox::new(None, address.clone()));
    }
    let mail = mail
        .subject(subject)
        .date(SystemTime::from(parcel.created_at))
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN);
    let mut mail = mail.body(parcel.body.clone()).map_err(unfit)?;
    if parcel.automatic {
        // So that no absence note answers a machine, and no machine answers that.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    }
    let envelope = Envelope::new(Some(from.email.clone()), to).map_err(unfit)?;
    Ok((envelope, mail.formatted()))
}

/// What the server says when it has taken a mail: mostly the id in its queue.
fn provider_id(response: &Response) -> Option<String> {
    let said: Vec<&str> = response.message().collect();
    Some(foreign_words(&said.join(" "), MAX_PROVIDER_ID)).filter(|said| !said.is_empty())
}

fn failed(error: &Error) -> Attempted {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_told = inner.to_string();
        if !told.contains(&inner_told) {
            told = format!("{told}: {inner_told}");
        }
        cause = inner.source();
    }
    let error_told = foreign_words(&told, MAX_ERROR);
    // 5xx is for good (RFC 5321, 4.2.1), and so is what the server cannot do at all, such as an address in Chinese.
    if error.is_permanent() || error.is_client() {
        Attempted::Refused { error: error_told }
    } else {
        Attempted::Failed { error: error_told, after: None }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::DeliveryContent;

    fn parcel(recipient: &str, subject: &str) -> Parcel {
        Parcel {
            id: Uuid::from_u128(7),
            ticket: "tickets/7".into(),
            ticket_number: "T-2026-riverside-000007".into(),
            content: DeliveryContent::Message,
            recipient: recipient.into(),
            subject: subject.into(),
            body: "电梯已修好\n谢谢".into(),
            created_at: Timestamp::UNIX_EPOCH,
            automatic: false,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn formatted(parcel: &Parcel) -> Result<String, String> {
        let from = "客服中心 <care@kefu.example>".parse().unwrap();
        message(&from, parcel, std::slice::from_ref(&parcel.recipient))
            .map(|(_, mail)| String::from_utf8(mail).unwrap())
    }

    #[test]
    fn t14_nothing_that_was_typed_becomes_a_header() {
        let mail =
            formatted(&parcel("wang@example.cn", "漏水\r\nBcc: all@example.cn\r\n\r\nhi")).unwrap();
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
        assert_eq!(head.lines().filter(|line| line.starts_with("To:")).count(), 1);
        for bad in [
            "wang@example.cn\r\nBcc: all@example.cn",
            "wang@example.cn, all@example.cn",
            "Wang <wang@example.cn>",
            "wang@example.cn\0",
            "",
        ] {
            assert!(formatted(&parcel(bad, "x")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn t14_a_mail_is_the_same_in_every_attempt() {
        let first = parcel("wang@example.cn", "漏水");
        let again = Parcel { now: "2026-03-02T02:00:00Z".parse().unwrap(), ..first.clone() };
        assert_eq!(formatted(&first).unwrap(), formatted(&again).unwrap());
        assert!(formatted(&first).unwrap().contains(&format!("<{}@kefu.example>", first.id)));
    }
}
