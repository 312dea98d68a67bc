//! Whom the authenticator believes, with real keys on a settable clock.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use kefu_clock::ManualClock;
use kefu_identity::{
    AuthenticationError, Authenticator, AuthenticatorOptions, Caller, ClaimNames, KeyError,
    KeySource, Minter, bearer_token,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// 2011, to show that nothing looks at the wall clock.
fn clock() -> ManualClock {
    ManualClock::new("2011-10-30T18:40:00Z".parse().unwrap())
}

fn minter(clock: &ManualClock) -> Minter {
    Minter::generate(ISSUER, "kefu", Arc::new(clock.clone())).unwrap()
}

fn authenticator(clock: &ManualClock, source: KeySource) -> Authenticator {
    let options = AuthenticatorOptions::new(ISSUER, "kefu");
    Authenticator::new(options, source, Arc::new(clock.clone())).unwrap()
}

fn li() -> Caller {
    Caller::staff("li", "group/north".parse().unwrap(), ["handler", "clerk"])
}

/// The token with its header and claims changed, and the old signature.
fn forged(token: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (mut header, mut claims) = (read(parts[0]), read(parts[1]));
    change(&mut header, &mut claims);
    let write = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", write(header), write(claims), parts[2])
}

#[test]
fn g10_a_minted_token_proves_its_caller() {
    let clock = clock();
    let minter = minter(&clock);
    let token = minter.mint(&li(), HOUR).unwrap();
    let authenticator = authenticator(&clock, minter.key_source());
    for _ in 0..2 {
        let caller = authenticator.authenticate(&token).unwrap();
        assert_eq!(*caller, li().with_token(&*token));
    }
    let again = authenticator.authenticate(&token).unwrap();
    assert!(Arc::ptr_eq(&again, &authenticator.authenticate(&token).unwrap()), "remembered");
}

#[test]
fn g10_time_is_the_clocks_with_a_minute_of_leeway() {
    let clock = clock();
    let minter = minter(&clock);
    let known = minter.mint(&li(), HOUR).unwrap();
    let unknown = minter.mint(&Caller::staff("wang", "group".parse().unwrap(), ["clerk"]), HOUR);
    let authenticator = authenticator(&clock, minter.key_source());
    authenticator.authenticate(&known).unwrap();
    clock.advance(HOUR + SignedDuration::from_secs(59)).unwrap();
    authenticator.authenticate(&known).unwrap();
    clock.advance(SignedDuration::from_secs(1)).unwrap();
    let unknown = unknown.unwrap();
    for token in [&known, &known, &unknown] {
        assert_eq!(authenticator.authenticate(token), Err(AuthenticationError::Expired));
    }
    // A minter whose clock is ahead makes tokens of tomorrow only where they say so.
    let provider: Timestamp = "2011-10-30T18:30:00Z".parse().unwrap();
    let (source, token) = foreign();
    let early = ManualClock::new(provider);
    let early = foreign_authenticator(&early, source);
    assert_eq!(early.authenticate(&token), Err(AuthenticationError::NotYetValid));
}

/// An RSA key of an identity provider, and a token of it that is valid from 18:40:00 to 18:50:00 on 2011-10-30.
fn foreign() -> (KeySource, String) {
    let source = KeySource::Fixed(include_str!("provider_jwks.json").to_owned());
    (source, include_str!("provider_token.txt").trim().to_owned())
}

fn foreign_authenticator(clock: &ManualClock, source: KeySource) -> Authenticator {
    let claims =
        ClaimNames { org_unit: "kefu_unit".to_owned(), roles: "realm_access.roles".to_owned() };
    let options = AuthenticatorOptions { claims, ..AuthenticatorOptions::new(ISSUER, "kefu") };
    Authenticator::new(options, source, Arc::new(clock.clone())).unwrap()
}

#[test]
fn g10_an_rs256_token_with_claims_of_other_names_proves_its_caller() {
    let clock = clock();
    let (source, token) = foreign();
    let caller = foreign_authenticator(&clock, source.clone()).authenticate(&token).unwrap();
    assert_eq!(caller.subject(), "staff-7");
    assert_eq!(caller.roles().collect::<Vec<_>>(), ["clerk", "handler"]);
    let without = authenticator(&clock, source);
    assert_eq!(without.authenticate(&token), Err(AuthenticationError::BadClaims("org_unit")));
}

#[test]
fn g10_a_token_cannot_choose_its_algorithm() {
    let clock = clock();
    let minter = minter(&clock);
    let token = minter.mint(&li(), HOUR).unwrap();
    let authenticator = authenticator(&clock, minter.key_source());
    for algorithm in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
        let token = forged(&token, |header, _| header["alg"] = json!(algorithm));
        let refused = authenticator.authenticate(&token);
        assert_eq!(refused, Err(AuthenticationError::BadSignature), "{algorithm}");
    }
    let unsigned = forged(&token, |header, _| header["alg"] = json!("none"));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    assert_eq!(authenticator.authenticate(&unsigned), Err(AuthenticationError::BadSignature));
    let critical = forged(&token, |header, _| header["crit"] = json!(["b64"]));
    assert_eq!(authenticator.authenticate(&critical), Err(AuthenticationError::Malformed));
}

#[test]
fn g10_a_forged_token_is_refused_even_beside_the_real_one() {
    let clock = clock();
    let minter = minter(&clock);
    let token = minter.mint(&li(), HOUR).unwrap();
    let authenticator = authenticator(&clock, minter.key_source());
    authenticator.authenticate(&token).unwrap();
    let promoted = forged(&token, |_, claims| claims["roles"] = json!(["director"]));
    assert_eq!(authenticator.authenticate(&promoted), Err(AuthenticationError::BadSignature));
    let other = Minter::generate(ISSUER, "kefu", Arc::new(clock.clone())).unwrap();
    let stranger = other.mint(&li(), HOUR).unwrap();
    assert_eq!(authenticator.authenticate(&stranger), Err(AuthenticationError::UnknownKey));
    authenticator.authenticate(&token).unwrap();
}

#[test]
fn g10_issuer_and_audience_must_be_ours() {
    let clock = clock();
    let minter = minter(&clock);
    let token = minter.mint(&li(), HOUR).unwrap();
    for (issuer, audience, error) in [
        ("https://id.example/", "kefu", AuthenticationError::WrongIssuer),
        (ISSUER, "kefu2", AuthenticationError::WrongAudience),
    ] {
        let options = AuthenticatorOptions::new(issuer, audience);
        let clock = Arc::new(clock.clone());
        let authenticator = Authenticator::new(options, minter.key_source(), clock).unwrap();
        assert_eq!(authenticator.authenticate(&token), Err(error));
    }
}

#[test]
fn x06_what_is_no_token_is_refused_and_never_a_panic() {
    let clock = clock();
    let authenticator = authenticator(&clock, minter(&clock).key_source());
    assert_eq!(authenticator.authenticate(""), Err(AuthenticationError::Missing));
    let long = "a".repeat(9000);
    for text in ["x", "..", "a.b.c", "令牌", "e30.e30.", "....", "W10.e30.AA", &long] {
        let refused = authenticator.authenticate(text);
        assert_eq!(refused, Err(AuthenticationError::Malformed), "{text:.20}");
    }
}

#[test]
fn g10_an_anonymous_caller_and_a_nonsensical_lifetime_get_no_token() {
    let minter = minter(&clock());
    assert!(minter.mint(&Caller::ANONYMOUS, HOUR).is_err());
    let timers = Caller::staff("system/timers", "group".parse().unwrap(), ["clerk"]);
    assert!(minter.mint(&timers, HOUR).is_err());
    for lifetime in [SignedDuration::ZERO, -HOUR, SignedDuration::MAX] {
        assert!(minter.mint(&li(), lifetime).is_err());
    }
}

#[test]
fn g10_the_private_key_is_for_its_owner_only_and_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let clock = clock();
    let load = || Minter::load_or_generate(&path, ISSUER, "kefu", Arc::new(clock.clone()));
    let keys: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| load().unwrap().jwks())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "processes that start together share a key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "nothing is left beside it");
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        .unwrap();
    assert!(matches!(load(), Err(KeyError::NotPrivateKey)));
}

#[test]
fn g10_a_new_key_in_the_file_is_found_when_its_first_token_comes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let clock = clock();
    let (old, new) = (minter(&clock), minter(&clock));
    old.write_jwks(&path).unwrap();
    let authenticator = authenticator(&clock, KeySource::File(path.clone()));
    let (old_token, new_token) = (old.mint(&li(), HOUR).unwrap(), new.mint(&li(), HOUR).unwrap());
    new.write_jwks(&path).unwrap();
    authenticator.authenticate(&new_token).unwrap();
    // The key that is gone is believed no longer.
    assert_eq!(authenticator.authenticate(&old_token), Err(AuthenticationError::UnknownKey));
}

#[test]
fn g10_a_file_without_usable_keys_is_refused_at_the_start() {
    let options = AuthenticatorOptions::new(ISSUER, "kefu");
    let missing = KeySource::File("/nonexistent/jwks.json".into());
    let result = Authenticator::new(options, missing, Arc::new(clock()));
    assert!(matches!(result, Err(KeyError::File { .. })));
}

/// Serves a JWKS once over HTTP and then goes away.
fn serve_once(document: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        let length = document.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{document}").unwrap();
    });
    url
}

#[tokio::test]
async fn g10_keys_from_a_url_outlive_the_url() {
    let clock = clock();
    let minter = minter(&clock);
    let token = minter.mint(&li(), HOUR).unwrap();
    let authenticator = authenticator(&clock, KeySource::Url(serve_once(minter.jwks())));
    authenticator.wait_for_keys().await;
    authenticator.authenticate(&token).unwrap();
    // An unknown key makes the authenticator want new keys, which it cannot get; the old ones still count.
    let stranger = Minter::generate(ISSUER, "kefu", Arc::new(clock.clone())).unwrap();
    let stranger = stranger.mint(&li(), HOUR).unwrap();
    assert_eq!(authenticator.authenticate(&stranger), Err(AuthenticationError::UnknownKey));
    let second = minter.mint(&li(), HOUR * 2).unwrap();
    authenticator.authenticate(&second).unwrap();
}

#[test]
fn x06_the_authorization_header_is_read_strictly() {
    let read = |values: &[&str]| {
        let mut headers = http::HeaderMap::new();
        for value in values {
            headers.append("authorization", value.parse().unwrap());
        }
        bearer_token(&headers).map(str::to_owned)
    };
    assert_eq!(read(&["Bearer abc"]).unwrap(), "abc");
    assert_eq!(read(&["bearer  abc"]).unwrap(), "abc");
    assert_eq!(read(&[]), Err(AuthenticationError::Missing));
    for values in [&["abc"][..], &["Basic abc"], &["Bearer "], &["Bearer a", "Bearer b"]] {
        assert_eq!(read(values), Err(AuthenticationError::Malformed));
    }
}
