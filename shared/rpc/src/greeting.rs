//! Connections that never say what they want.

use std::{io, time::Duration};

use tokio::net::TcpStream;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The pause before looking for the rest of a preface that came in parts, which hardly one does.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the other side has sent the whole preface of HTTP/2, or something else, which is the protocol's affair.
/// The bytes stay where they are. False when `patience` is over first, or the connection: it would keep its place for
/// ever, since nothing of the protocol, keep-alive included, begins before.
pub(crate) async fn arrives(stream: &TcpStream, patience: Duration) -> bool {
    matches!(tokio::time::timeout(patience, preface(stream)).await, Ok(Ok(true)))
}

async fn preface(stream: &TcpStream) -> io::Result<bool> {
    let mut begin = [0; PREFACE.len()];
    let mut seen = 0;
    loop {
        let length = stream.peek(&mut begin).await?;
        let so_far = begin.get(..length).unwrap_or_default();
        if length == PREFACE.len() || !PREFACE.starts_with(so_far) {
            return Ok(true);
        }
        // Nothing at all is the end of the connection; nothing more may be.
        if length == 0 {
            return Ok(false);
        }
        if length == seen {
            tokio::time::sleep(PAUSE).await;
        }
        seen = length;
    }
}
