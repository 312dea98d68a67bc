//! The few changes which this crate makes to a connection URL, keeping everything else of it
//! (host, port, TLS options) as the operator wrote it.

use std::path::Path;

/// `url` with another user and password. A password of the old user is never carried over.
pub fn with_credentials(url: &str, user: &str, password: Option<&str>) -> String {
    let parts = Parts::of(url);
    let userinfo = match password {
        Some(password) => format!("{}:{}", encode(user), encode(password)),
        None => encode(user),
    };
    let query = parts.query.map(|query| {
        let kept = query.split('&').filter(|pair| {
            let key = pair.split('=').next().unwrap_or_default();
            !matches!(key, "user" | "password")
        });
        kept.collect::<Vec<_>>().join("&")
    });
    Parts { userinfo: Some(&userinfo), query: query.as_deref(), ..parts }.join()
}

/// `url` with another database.
pub fn with_database(url: &str, database: &str) -> String {
    let path = encode(database);
    Parts { path: &path, ..Parts::of(url) }.join()
}

/// The URL of a server on a Unix socket, as its superuser, without a password.
pub fn on_socket(directory: &Path, user: &str, database: &str) -> String {
    // There is no TLS on a socket; asking for it costs a round trip per connection.
    format!(
        "postgres://{}@{}/{}?sslmode=disable",
        encode(user),
        encode(&directory.to_string_lossy()),
        encode(database)
    )
}

struct Parts<'a> {
    scheme: &'a str,
    userinfo: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        Self { scheme, userinfo, host, path, query }
    }

    fn join(&self) -> String {
        let mut url = format!("{}://", self.scheme);
        if let Some(userinfo) = self.userinfo {
            url.push_str(userinfo);
            url.push('@');
        }
        url.push_str(self.host);
        url.push('/');
        url.push_str(self.path);
        if let Some(query) = self.query.filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(query);
        }
        url
    }
}

/// Percent-encodes everything that could have a meaning in a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_password_is_not_carried_over() {
        let admin = "postgres://root:s3cret@db.example:6432/kefu?sslmode=require&password=s3cret";
        assert_eq!(
            with_credentials(admin, "kefu_ticket", None),
            "postgres://kefu_ticket@db.example:6432/kefu?sslmode=require"
        );
        assert_eq!(
            with_credentials(admin, "kefu_ticket", Some("a/b@c")),
            "postgres://kefu_ticket:a%2Fb%40c@db.example:6432/kefu?sslmode=require"
        );
    }

    #[test]
    fn a_socket_url_keeps_its_directory() {
        let url = on_socket(Path::new("/a b/c"), "postgres", "postgres");
        assert_eq!(url, "postgres://postgres@%2Fa%20b%2Fc/postgres?sslmode=disable");
        assert_eq!(
            with_database(&with_credentials(&url, "kefu_ticket", None), "x"),
            "postgres://kefu_ticket@%2Fa%20b%2Fc/x?sslmode=disable"
        );
    }
}
