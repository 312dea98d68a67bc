//! How long a call may take: read from its metadata, capped, passed on.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Fault;

/// The header with the time that a call has left, by the gRPC protocol.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// When a call must be answered, on the monotonic clock. In a call's extensions, and in its [`crate::RequestContext`].
///
/// `None`: a stream whose caller set no limit, which lives until one side ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(pub Option<Instant>);

impl Deadline {
    /// The time left: zero if it is over, `None` if there is no limit.
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(kefu_clock::monotonic()))
    }

    /// The earlier of this and `limit` from now.
    pub fn at_most(self, limit: Duration) -> Self {
        let limit = kefu_clock::monotonic() + limit;
        Self(Some(self.0.map_or(limit, |at| at.min(limit))))
    }

    /// Writes the time left into the headers of a call onward; takes away what was there.
    pub fn write_headers(self, headers: &mut HeaderMap) {
        match self.remaining() {
            Some(left) => {
                headers.insert(GRPC_TIMEOUT, format_timeout(left));
            }
            None => {
                headers.remove(GRPC_TIMEOUT);
            }
        }
    }
}

/// The time that the caller gave, `None` if it gave none.
///
/// # Errors
/// [`Fault`] for text which is no timeout by the protocol: 1 to 8 digits and a unit.
pub fn parse_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(None) };
    let malformed = || {
        Fault::malformed(
            "1 to 8 digits and one of H, M, S, m, u, n",
            "1 至 8 位数字加 H、M、S、m、u、n 之一",
        )
    };
    let (unit, digits) = value.as_bytes().split_last().ok_or_else(malformed)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let amount = digits.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
    Ok(Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return Err(malformed()),
    }))
}

/// The finest unit whose amount has at most 8 digits.
fn format_timeout(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let text = if left.as_micros() <= MOST {
        format!("{}u", left.as_micros())
    } else if left.as_millis() <= MOST {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", u128::from(left.as_secs()).min(MOST))
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("0u"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Duration>, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_str(text).unwrap());
        parse_timeout(&headers)
    }

    #[test]
    fn x08_deadlines_are_read_by_the_protocol() {
        assert_eq!(parse_timeout(&HeaderMap::new()), Ok(None));
        assert_eq!(parse("1m"), Ok(Some(Duration::from_millis(1))));
        assert_eq!(parse("99999999H"), Ok(Some(Duration::from_secs(99_999_999 * 3600))));
        for bad in ["", "m", "1", "-1S", "123456789n", "1x", "1 S"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn x08_the_time_left_is_passed_on() {
        let mut headers = HeaderMap::new();
        Deadline::default().at_most(Duration::from_secs(5)).write_headers(&mut headers);
        let left = parse_timeout(&headers).unwrap().unwrap();
        assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(4), "{left:?}");
        Deadline(None).write_headers(&mut headers);
        assert!(headers.is_empty());
    }

    proptest! {
        #[test]
        fn x08_a_written_timeout_is_never_longer(nanos in 0_u64..99_999_999_000_000_000) {
            let left = Duration::from_nanos(nanos);
            let text = format_timeout(left);
            let read = parse(text.to_str().unwrap()).unwrap().unwrap();
            prop_assert!(read <= left);
            prop_assert!(left - read <= left / 1000 + Duration::from_micros(1));
        }
    }
}
