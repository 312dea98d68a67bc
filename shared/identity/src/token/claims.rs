//! What a token says.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::authenticator::AuthenticationError;
use crate::caller::is_subject;
use crate::{Caller, OrgUnit};

/// The most roles in a token, and the most characters of one.
const MAX_ROLES: usize = 128;
const MAX_ROLE: usize = 128;

/// What the identity provider calls the claims that Kefu needs beside the registered ones.
///
/// A name may be a path with dots into nested objects, e.g. `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The claim with the caller's org unit, a string.
    pub org_unit: String,
    /// The claim with the caller's roles, a list of strings.
    pub roles: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        ClaimNames { org_unit: "org_unit".to_owned(), roles: "roles".to_owned() }
    }
}

/// The time in which a token is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    not_before: i64,
    expires: i64,
}

impl Validity {
    /// Whether a token is valid now, give or take `leeway` seconds for clocks that differ.
    pub(super) fn check(self, now: Timestamp, leeway: i64) -> Result<(), AuthenticationError> {
        let now = now.as_second();
        if now >= self.expires.saturating_add(leeway) {
            Err(AuthenticationError::Expired)
        } else if now < self.not_before.saturating_sub(leeway) {
            Err(AuthenticationError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

/// Reads the claims of a token whose signature has been verified.
pub(super) fn read(
    claims: &Map<String, Value>,
    issuer: &str,
    audience: &str,
    names: &ClaimNames,
) -> Result<(Caller, Validity), AuthenticationError> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(AuthenticationError::WrongIssuer);
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(only)) => only == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    };
    if !for_us {
        return Err(AuthenticationError::WrongAudience);
    }
    let expires = seconds(claims.get("exp")).ok_or(AuthenticationError::BadClaims("exp"))?;
    let not_before = match claims.get("nbf") {
        None => i64::MIN,
        given => seconds(given).ok_or(AuthenticationError::BadClaims("nbf"))?,
    };
    let caller = caller(claims, names)?;
    Ok((caller, Validity { not_before, expires }))
}

fn caller(claims: &Map<String, Value>, names: &ClaimNames) -> Result<Caller, AuthenticationError> {
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|sub| is_subject(sub))
        .ok_or(AuthenticationError::BadClaims("sub"))?;
    let org_unit: OrgUnit = lookup(claims, &names.org_unit)
        .and_then(Value::as_str)
        .and_then(|path| path.parse().ok())
        .ok_or(AuthenticationError::BadClaims("org_unit"))?;
    let roles = match lookup(claims, &names.roles) {
        Some(Value::Array(roles)) if roles.len() <= MAX_ROLES => roles
            .iter()
            .map(|role| role.as_str().filter(|role| !role.is_empty() && fits(role, MAX_ROLE)))
            .collect::<Option<Vec<&str>>>(),
        _ => None,
    };
    let roles = roles.ok_or(AuthenticationError::BadClaims("roles"))?;
    Ok(Caller::staff(subject, org_unit, roles))
}

fn fits(text: &str, limit: usize) -> bool {
    text.chars().count() <= limit && !text.chars().any(char::is_control)
}

/// The claim of exactly this name, or else the one that the dotted path leads to.
fn lookup<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        lookup(claims.get(first)?.as_object()?, rest)
    })
}

/// A NumericDate (RFC 7519), which may have a fraction.
fn seconds(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    // The cast saturates, which keeps the meaning of a date that is out of all reason.
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn x04_a_token_for_one_of_our_own_names_is_refused() {
        let outcome = |subject: &str| {
            let claims = json!({
                "iss": "i", "aud": "kefu", "exp": 1, "sub": subject, "org_unit": "group",
                "roles": ["clerk"],
            });
            let claims = claims.as_object().cloned().unwrap_or_default();
            read(&claims, "i", "kefu", &ClaimNames::default()).map(drop)
        };
        assert_eq!(outcome("li"), Ok(()));
        for subject in ["system/timers", "SYSTEM/timers", "anonymous", "anonymous:1", "l\u{7}i"] {
            assert_eq!(outcome(subject), Err(AuthenticationError::BadClaims("sub")), "{subject:?}");
        }
    }
}
