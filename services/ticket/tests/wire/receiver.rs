//! The other side: an HTTP endpoint and a mail server on the loopback that behave as they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The key of every webhook here.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How an endpoint answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This, and no more.
    Says(&'static str),
    /// It takes the request and says nothing.
    Hangs,
    /// It goes on and on.
    Endless,
}

/// What an endpoint got.
#[derive(Clone, Debug)]
pub struct Got {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// An HTTP endpoint.
pub struct Endpoint {
    pub port: u16,
    pub got: UnboundedReceiver<Got>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Endpoint {
    /// Says 204 unless told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, got) = unbounded_channel();
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let scripted = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tell.clone(), Arc::clone(&scripted)));
            }
        });
        Self { port, got, answers }
    }

    /// How it answers the next requests, in this order.
    pub fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// What it has got and nobody has looked at.
    pub fn all(&mut self) -> Vec<Got> {
        std::iter::from_fn(|| self.got.try_recv().ok()).collect()
    }

    /// As an adapter of the operator's file.
    pub fn adapter(&self, code: &str, timeout_ms: u64) -> String {
        let port = self.port;
        format!(
            "  {code}:\n    webhook: {{url: 'http://127.0.0.1:{port}/in?key=hidden-in-url', secrets: ['{SECRET}'], \
             timeout_ms: {timeout_ms}}}\n"
        )
    }
}

async fn serve(
    stream: TcpStream,
    tell: UnboundedSender<Got>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut got = Got { headers, body: String::new() };
    let mut body = vec![0; got.header("content-length").parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    got.body = String::from_utf8(body).ok()?;
    tell.send(got).ok()?;
    let answer = answers.lock().unwrap().pop_front();
    match answer.unwrap_or(Answer::Says("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")) {
        Answer::Says(text) => stream.write_all(text.as_bytes()).await.ok()?,
        // Until the other side has had enough.
        Answer::Hangs => _ = stream.read_u8().await,
        Answer::Endless => {
            stream
                .write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 99999999999\r\n\r\n")
                .await
                .ok()?;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        }
    }
    Some(())
}

/// A mail that the server took.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

impl Mail {
    /// A header with its folded lines.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let prefix = format!("{name}: ");
        let found = head.lines().find_map(|line| line.strip_prefix(&prefix).map(ToOwned::to_owned));
        found.unwrap_or_default()
    }

    /// A header of encoded words (RFC 2047, base64) as a person reads it.
    pub fn read_header(&self, name: &str) -> String {
        let mut text = String::new();
        let mut encoded_before = false;
        for word in self.header(name).split(' ') {
            let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
            if !(text.is_empty() || encoded_before && encoded.is_some()) {
                text.push(' ');
            }
            match encoded {
                Some(encoded) => {
                    text += &String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
                }
                None => text += word,
            }
            encoded_before = encoded.is_some();
        }
        text
    }

    /// The body as a person reads it; it is base64.
    pub fn body(&self) -> String {
        assert_eq!(self.header("Content-Transfer-Encoding"), "base64");
        let body: String = self.text.split("\r\n\r\n").nth(1).unwrap().split("\r\n").collect();
        String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
    }
}

/// A mail server.
pub struct MailServer {
    pub port: u16,
    pub mails: UnboundedReceiver<Mail>,
    /// What it answers to the next recipients.
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, mails) = unbounded_channel();
        let answers: Arc<Mutex<VecDeque<&'static str>>> = Arc::default();
        let scripted = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(speak(stream, tell.clone(), Arc::clone(&scripted)));
            }
        });
        Self { port, mails, answers }
    }

    /// What it answers to the next recipients, in this order; then 250.
    pub fn will(&self, answers: impl IntoIterator<Item = &'static str>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn all(&mut self) -> Vec<Mail> {
        std::iter::from_fn(|| self.mails.try_recv().ok()).collect()
    }

    /// As an adapter of the operator's file.
    pub fn adapter(&self, code: &str) -> String {
        let port = self.port;
        format!(
            "  {code}:\n    smtp: {{host: 127.0.0.1, port: {port}, tls: none, from: '客服中心 <care@kefu.example>', \
             timeout_ms: 5000}}\n"
        )
    }
}

async fn speak(
    stream: TcpStream,
    tell: UnboundedSender<Mail>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail { from: String::new(), to: Vec::new(), text: String::new() };
    stream.write_all(b"220 mail.example ready\r\n").await.ok()?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let command = line.trim_end();
        let answer = if command.starts_with("EHLO") {
            "250-mail.example\r\n250 8BITMIME\r\n".to_owned()
        } else if let Some(from) = command.strip_prefix("MAIL FROM:") {
            mail.from = from.to_owned();
            "250 ok\r\n".to_owned()
        } else if let Some(to) = command.strip_prefix("RCPT TO:") {
            mail.to.push(to.to_owned());
            let scripted = answers.lock().unwrap().pop_front();
            format!("{}\r\n", scripted.unwrap_or("250 ok"))
        } else if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await.ok()?;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
                if line == ".\r\n" {
                    break;
                }
                mail.text += line.strip_prefix('.').unwrap_or(&line);
            }
            tell.send(mail.clone()).ok()?;
            "250 2.0.0 queued as 4F2A\r\n".to_owned()
        } else if command == "QUIT" {
            stream.write_all(b"221 bye\r\n").await.ok()?;
            return Some(());
        } else {
            "250 ok\r\n".to_owned()
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}
