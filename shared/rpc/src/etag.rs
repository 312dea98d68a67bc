//! Etags: which revision of a resource a caller has seen (X-03).

use std::{fmt, str::FromStr};

use tonic::Status;

use crate::{Fault, Violations};

/// The etag of a resource, made from its revision. To callers it is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(i64);

impl Etag {
    /// The etag of the given revision; revisions count the changes of one resource from 1.
    pub fn of_revision(revision: i64) -> Self {
        Self(revision)
    }

    /// The revision that the caller has seen.
    pub fn revision(self) -> i64 {
        self.0
    }

    /// Passes if the caller's etag, where it sent one, is that of the current revision.
    ///
    /// # Errors
    /// `ABORTED` with the current etag.
    pub fn check(seen: Option<Self>, current_revision: i64) -> Result<(), Status> {
        match seen {
            Some(seen) if seen.0 != current_revision => {
                Err(crate::aborted_stale_etag(&Self(current_revision).to_string()))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl FromStr for Etag {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let malformed = || Fault::malformed("an etag as it was read", "读取时得到的 etag 原文");
        let digits = text.strip_prefix('r').ok_or_else(malformed)?;
        let revision: i64 = digits.parse().map_err(|_| malformed())?;
        // One revision, one text: no sign, no leading zero.
        let etag = Self(revision);
        if revision > 0 && etag.to_string() == text { Ok(etag) } else { Err(malformed()) }
    }
}

impl Violations {
    /// An etag that may be absent (empty); absent means "whatever is there". The outer `None` means that it is wrong.
    #[allow(clippy::option_option, reason = "absent and wrong are different answers")]
    pub fn etag(&mut self, field: &str, value: &str) -> Option<Option<Etag>> {
        if value.is_empty() {
            return Some(None);
        }
        self.take(field, value.parse()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x03_only_the_current_etag_passes() {
        let seen: Etag = Etag::of_revision(7).to_string().parse().unwrap();
        assert!(Etag::check(Some(seen), 7).is_ok());
        assert!(Etag::check(None, 7).is_ok());
        let status = Etag::check(Some(seen), 8).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Aborted);
    }

    #[test]
    fn x03_an_invented_etag_is_a_wrong_field() {
        let mut violations = Violations::new();
        for bad in ["7", "r", "r-1", "r07", "r+7", "r0", "r99999999999999999999"] {
            assert_eq!(violations.etag("etag", bad), None, "{bad}");
        }
        assert_eq!(violations.etag("etag", ""), Some(None));
    }
}
