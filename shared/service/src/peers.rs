//! The ways to the other contexts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use kefu_rpc::{ChannelOptions, Served, Transport};
use tonic::body::Body;
use tower::Service as _;
use tower::util::BoxCloneSyncService;

use crate::config::PeerConfig;

/// The ways to the other contexts, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<BTreeMap<&'static str, Transport>>);

impl Peers {
    /// Channels to the addresses in the settings; they connect when they are used.
    ///
    /// # Errors
    /// When an address is none.
    pub fn from_config(config: &PeerConfig) -> anyhow::Result<Peers> {
        let options = ChannelOptions::default();
        let channels = config.addresses().map(|(name, address)| {
            let transport = Transport::remote(address, &options)
                .with_context(|| format!("the address of the {name} context: {address}"))?;
            Ok((name, transport))
        });
        channels.collect::<anyhow::Result<BTreeMap<_, _>>>().map(Arc::new).map(Peers)
    }

    /// The way to a context.
    ///
    /// # Errors
    /// When it is not known.
    pub fn get(&self, context: &str) -> anyhow::Result<Transport> {
        self.0.get(context).cloned().with_context(|| {
            let variable = context.to_ascii_uppercase();
            format!("the address of the {context} context is needed: KEFU_{variable}_ADDRESS")
        })
    }

    /// The ways that are known, by the names of the contexts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Transport)> {
        self.0.iter().map(|(name, transport)| (*name, transport))
    }
}

impl FromIterator<(&'static str, Transport)> for Peers {
    fn from_iter<I: IntoIterator<Item = (&'static str, Transport)>>(peers: I) -> Self {
        Peers(Arc::new(peers.into_iter().collect()))
    }
}

/// A place for a service of this process, which others can hold a way to before it is there: contexts read each other's
/// feeds, so neither can be built first. While nobody is in it, calls fail with `UNAVAILABLE`.
#[derive(Clone)]
pub struct LocalPeer {
    name: &'static str,
    service: Arc<RwLock<Option<Served>>>,
}

impl LocalPeer {
    /// An empty place for the context of this name.
    pub fn new(name: &'static str) -> LocalPeer {
        LocalPeer { name, service: Arc::default() }
    }

    /// The name of the context.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Puts a service in, or another one in its place.
    pub fn connect(&self, service: Served) {
        *self.service.write().unwrap_or_else(PoisonError::into_inner) = Some(service);
    }

    /// Takes the service out.
    pub fn disconnect(&self) {
        *self.service.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The way to whatever is in the place when it is used.
    pub fn transport(&self) -> Transport {
        let peer = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let service = peer.service.read().unwrap_or_else(PoisonError::into_inner).clone();
            let name = peer.name;
            async move {
                match service {
                    // A stack is always ready, so it need not be asked.
                    Some(mut service) => service.call(request).await,
                    None => Ok(absent(name)),
                }
            }
        });
        Transport::local(BoxCloneSyncService::new(service))
    }
}

/// The answer in the place of a context that is not there.
pub(crate) fn absent(context: &str) -> http::Response<Body> {
    kefu_rpc::context_unavailable(context, Duration::from_millis(250)).into_http()
}

impl fmt::Debug for LocalPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalPeer").field(&self.name).finish()
    }
}
