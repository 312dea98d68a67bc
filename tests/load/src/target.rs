//! What is called: a gateway on this machine.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use kefu::client::Client;
use kefu_rpc::{ChannelOptions, Transport};

/// A client of the gateway at `address` that spreads its calls over several connections.
///
/// # Errors
/// When the address is not this machine's: nobody shall flood a server by a slip of the pen.
pub fn client(address: &str, token: &str, connections: usize) -> anyhow::Result<Client> {
    ensure_loopback(address)?;
    let options = ChannelOptions { connections, ..ChannelOptions::default() };
    Client::over(Transport::remote(address, &options)?, token)
}

/// The token in a file.
///
/// # Errors
/// When the file cannot be read.
pub fn read_token(path: &Path) -> anyhow::Result<String> {
    let token = std::fs::read_to_string(path);
    Ok(token.with_context(|| format!("the token in {}", path.display()))?.trim().to_owned())
}

/// Refuses everything but `http://` with a loopback address and a port.
fn ensure_loopback(address: &str) -> anyhow::Result<()> {
    let uri: tonic::transport::Uri = address.parse().with_context(|| address.to_owned())?;
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    ensure!(
        uri.scheme_str() == Some("http") && uri.port().is_some() && loopback,
        "{address} is not loopback: only addresses like http://127.0.0.1:50050 are called"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called() {
        for good in ["http://127.0.0.1:50050", "http://127.8.8.8:1", "http://[::1]:50050"] {
            assert!(ensure_loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1:50050",
            "http://kefu.example:50050",
            // A name may lead anywhere.
            "http://localhost:50050",
            "http://127.0.0.1.example:50050",
            "http://user@10.0.0.1:50050",
            "https://127.0.0.1:50050",
            "http://127.0.0.1",
            "127.0.0.1:50050",
            "",
        ] {
            assert!(ensure_loopback(bad).is_err(), "{bad}");
        }
    }
}
