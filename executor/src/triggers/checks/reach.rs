//! At which address the executor reaches a container, and whether it can at all.
//!
//! Keeps true: where the executor cannot reach a container by design (another network,
//! no network), that is said, and never taken for a fault of the container.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::Place;
use crate::docker::{Client, Docker, Network};
use crate::resolve::OwnContainer;

/// Names that are looked up at once: each may hang in a thread of its own.
const LOOKUPS_MAX: usize = 4;
/// How long what was learnt of our own networks is good.
const OWN_FRESH: Duration = Duration::from_secs(60);
/// Longest wait for the engine.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Shared by all probes.
#[derive(Debug)]
pub(super) struct Reach {
    docker: Rc<Client>,
    own: OwnContainer,
    own_network: RefCell<Option<(Instant, Network)>>,
    lookups: Arc<Semaphore>,
}

impl Reach {
    pub(super) fn new(docker: Rc<Client>, own: OwnContainer) -> Self {
        Self {
            docker,
            own,
            own_network: RefCell::new(None),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Where to connect to; or why that is not known.
    pub(super) async fn find(
        &self,
        place: &Place,
        network: &Network,
    ) -> Result<SocketAddr, String> {
        let ip = match &place.host {
            None => self.container(network).await?,
            Some(host) => match host.parse() {
                Ok(ip) => ip,
                Err(_) => self.named(host).await?,
            },
        };
        Ok(SocketAddr::new(ip, place.port))
    }

    async fn container(&self, network: &Network) -> Result<IpAddr, String> {
        let mut network = network.clone();
        // At most one step: a parent with a parent of its own is refused by the engine.
        if let Some(parent) = network.mode.strip_prefix("container:") {
            let parent = self.docker.inspect(parent, LOOK_MAX).await;
            let parent = parent.map_err(|e| e.to_string())?;
            network = parent
                .ok_or("the container whose network it is in is gone")?
                .network;
        }
        let own = self.own_network().await?;
        if network.mode == "host" {
            return match own {
                Some(own) if own.mode != "host" => Err(
                    "it is in the host's network, and the executor is not: give the probe a host"
                        .to_owned(),
                ),
                _ => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            };
        }
        let is_shared = |name: &str| match &own {
            Some(own) if own.mode != "host" => own.addresses.iter().any(|(own, _)| own == name),
            _ => true,
        };
        let mut addresses = network.addresses.iter();
        match addresses.find(|(name, _)| is_shared(name)) {
            Some((_, ip)) => Ok(*ip),
            None if network.addresses.is_empty() => Err(
                "it has no address of its own: give the probe a host, or use an exec probe"
                    .to_owned(),
            ),
            None => Err(
                "it shares no network with the executor's own container: put them in one, or use \
                 an exec probe"
                    .to_owned(),
            ),
        }
    }

    /// None where we run outside of containers, as far as can be told.
    async fn own_network(&self) -> Result<Option<Network>, String> {
        let Some(id) = self.own.ids().first() else {
            return Ok(None);
        };
        if let Some((at, network)) = &*self.own_network.borrow()
            && at.elapsed() < OWN_FRESH
        {
            return Ok(Some(network.clone()));
        }
        let own = self.docker.inspect(id, LOOK_MAX).await;
        // An id of another engine's: not known to this one, which tells nothing.
        let Some(own) = own.map_err(|e| e.to_string())? else {
            return Ok(None);
        };
        self.own_network
            .replace(Some((Instant::now(), own.network.clone())));
        Ok(Some(own.network))
    }

    /// The system's own resolver, which may hang: in a thread, and with a slot, until it ends.
    async fn named(&self, host: &str) -> Result<IpAddr, String> {
        let Ok(slot) = Arc::clone(&self.lookups).try_acquire_owned() else {
            return Err(format!("{LOOKUPS_MAX} look-ups of names hang already"));
        };
        let (found, waiting) = oneshot::channel();
        let name = host.to_owned();
        let thread = std::thread::Builder::new().name("probe-name".to_owned());
        let looking_up = move || {
            let looked_up = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0));
            let first = looked_up.map(|mut addresses| addresses.next().map(|a| a.ip()));
            // The probe may have given up.
            let _ = found.send(first);
            drop(slot);
        };
        thread
            .spawn(looking_up)
            .map_err(|e| format!("no thread to look up {host} in: {e}"))?;
        match waiting.await {
            Ok(Ok(Some(ip))) => Ok(ip),
            Ok(Ok(None)) | Err(_) => Err(format!("{host} has no address")),
            Ok(Err(e)) => Err(format!("{host} cannot be looked up: {e}")),
        }
    }
}
